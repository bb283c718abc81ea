import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { extname, join } from "node:path"
import { fileURLToPath } from "node:url"

/** Where the built page is: beside the built consumer, as it is published, or where the repository's tasks build it. */
const folders = ["../page/", "../../console/dist/"]

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const guarded = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const missing = `The console's page is not built here, so there is nothing to see.

In the repository \`npm start\`, \`npm run consumer\` and \`npm run build\` build it; the image and the package on npm bring it along.
What it would show is at /status, /events, /requests and /outcomes.
`

/** Whether a path is one of the page's own: these hold nothing that is of anybody's business, and ask for no token. */
export const isPagePath = (path: string): boolean => /^\/(assets\/[^/]+)?$/.test(path)

const readPage = () => {
  const folder = folders.map((each) => fileURLToPath(new URL(each, import.meta.url))).find((each) =>
    existsSync(join(each, "index.html"))
  )
  if (folder === undefined) return undefined
  const assets = join(folder, "assets")
  return {
    document: readFileSync(join(folder, "index.html")),
    assets: readdirSync(assets).map((name) => ({ name, bytes: readFileSync(join(assets, name)) }))
  }
}

/** The console's page, as it was built when this process started: it is small, and kept. */
export const pageRoutes = Effect.gen(function*() {
  const router = yield* HttpRouter.HttpRouter
  const page = readPage()
  if (page === undefined) {
    yield* router.add("GET", "/", HttpServerResponse.text(missing, { status: 404, headers: guarded }))
    return
  }
  const etag = `"${createHash("sha256").update(page.document).digest("base64url")}"`
  const headers = { ...guarded, "cache-control": "no-cache", etag }
  yield* router.add(
    "GET",
    "/",
    Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
      request.headers["if-none-match"] === etag
        ? HttpServerResponse.empty({ status: 304, headers })
        : HttpServerResponse.uint8Array(page.document, { contentType: "text/html; charset=utf-8", headers }))
  )
  for (const { bytes, name } of page.assets) {
    yield* router.add(
      "GET",
      `/assets/${name}`,
      HttpServerResponse.uint8Array(bytes, {
        contentType: contentTypes[extname(name)] ?? "application/octet-stream",
        // Its name changes with what is in it.
        headers: { ...guarded, "cache-control": "public, max-age=31536000, immutable" }
      })
    )
  }
})
