import { defineConfig } from "vite"

/** Relative addresses, so that the page also works behind a proxy that gives it a path of its own; and nothing inline, which its policy forbids. */
export default defineConfig({
  base: "./",
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } }
})
