// Loaded by Node itself, and not by VitePress' older compiler, which does not know our language level.
const { siteConfig } = await import(new URL("../SiteConfig.ts", import.meta.url).href)

export default siteConfig
