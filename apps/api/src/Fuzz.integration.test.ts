import { assert, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { Config, Effect, Random } from "effect"
import { connect } from "node:net"

/** More by hand: `API_FUZZ_REQUESTS=1000000`. */
const requestCount = Config.Int("API_FUZZ_REQUESTS").pipe(Config.withDefault(3000))

const CONNECTIONS = 16

const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })

const pick = <A>(choices: ReadonlyArray<A>): Effect.Effect<A> => Effect.orDie(Random.choice(choices))

const ips = [
  "192.0.2.1",
  "2001:DB8::1",
  "010.0.0.1",
  "::ffff:192.0.2.1",
  "fe80::1%eth0",
  "",
  "192.0.2.1\0",
  "\u{1F600}",
  "__proto__"
]
const segments = [
  "zones",
  "zone",
  "cache",
  "origin",
  "origin_cloud_regions",
  "cloud_regions",
  "batch",
  "supported_regions",
  "..",
  ".",
  "%2e%2e",
  "%",
  "%zz",
  "%00",
  "%C0%AF",
  "2001%3Adb8::1",
  "192.0.2.1",
  "192.0.2.0/24",
  ";",
  "#",
  "z".repeat(33),
  "z".repeat(3000),
  "//",
  "%F0%9F%98%80",
  "constructor"
]
const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "BREW"]
const collections = ["/client/v4/zones/zone/cache/origin_cloud_regions", "/client/v4/zones/zone/origin/cloud_regions"]
const values = [null, true, 0, -1, 1e308, "", "aws", "us-east-1", "__proto__", [], {}, [[]], "x".repeat(5000)]
const headers = (token: string) => [
  `Authorization: Bearer ${token}`,
  "Authorization: Bearer wrong",
  "Authorization: Bearer",
  "Authorization: \u00ff",
  "X-Auth-Email: a@example.com",
  "Cookie: a=b; a",
  "Content-Type: text/html",
  "Content-Type: \u00e9",
  "Content-Encoding: gzip",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: x",
  "Content-Length: -1",
  "Content-Length: 9999999",
  "Content-Length: 3, 3",
  "Expect: 100-continue",
  "Upgrade: websocket",
  "X-Request-Id: \t",
  `X-Long: ${"y".repeat(9000)}`,
  "Accept: */*",
  "No colon",
  ": empty",
  "Connection: upgrade"
]

const path = Effect.gen(function*() {
  if (yield* Random.nextBoolean) {
    return `${yield* pick(collections)}${yield* pick(["", "/192.0.2.1", "/2001:db8::1", "/batch"])}`
  }
  const base = yield* pick([
    ...collections,
    ...collections,
    "",
    "/client/v4",
    "/audit",
    "/docs",
    "/openapi-v1.json",
    "*"
  ])
  const more = yield* Effect.forEach(Array.from({ length: yield* below(4) }), () => pick(segments))
  const query = yield* pick([
    "",
    "",
    "?page=2&per_page=5",
    "?per_page=x",
    "?page=%",
    "?page=1&page=2",
    "?zone=../&limit=9e9",
    "?"
  ])
  return [base, ...more].join("/") + query
})

const draft = Effect.gen(function*() {
  if (yield* Random.nextBoolean) {
    return { ip: "192.0.2.1", origin_ip: "192.0.2.1", vendor: "gcp", region: "us-central1" }
  }
  const ip = yield* pick(ips)
  return {
    [yield* pick(["ip", "origin_ip", "__proto__"])]: ip,
    vendor: yield* pick([...values, "gcp"]),
    region: yield* pick([...values, "us-central1"])
  }
})

const body = Effect.gen(function*() {
  switch (yield* below(6)) {
    case 0:
      return ""
    case 1:
      return JSON.stringify(yield* draft)
    case 2:
      return JSON.stringify(
        yield* Effect.forEach(Array.from({ length: yield* below(103) }), () => draft)
      )
    case 3:
      return JSON.stringify(yield* Effect.forEach(Array.from({ length: 3 }), () => pick<unknown>([...values, ...ips])))
    case 4:
      return JSON.stringify(yield* draft).slice(0, yield* below(40))
    default:
      return "[".repeat(yield* Random.nextIntBetween(1, 20_000))
  }
})

/** A request, more or less; one in ten is noise. */
const requestBytes = Effect.fnUntraced(function*(token: string) {
  if ((yield* below(10)) === 0) {
    const bytes = yield* Effect.forEach(Array.from({ length: 60 }), () => below(256))
    return Buffer.from([...bytes, ...Buffer.from("\r\n\r\n")])
  }
  const method = yield* pick(methods)
  const known = yield* Random.nextBoolean
  const odd = yield* Effect.forEach(
    Array.from({ length: yield* below(3) }),
    () => pick(headers(token))
  )
  const content = yield* body
  const length = yield* pick([0, 0, 0, 1, -1])
  const lines = [
    `${method} ${yield* path} HTTP/1.1`,
    "Host: fuzz",
    "Connection: close",
    ...(known ? [`Authorization: Bearer ${token}`] : []),
    ...odd,
    `Content-Length: ${Math.max(0, Buffer.byteLength(content) + length)}`,
    "",
    content
  ]
  return Buffer.from(lines.join("\r\n"))
})

/** All that the server says. Our side is closed once all is sent, so that a request that lies about its length ends, too. */
const exchange = (port: number, bytes: Uint8Array) =>
  Effect.callback<string>((resume) => {
    let received = ""
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(bytes))
    socket.setEncoding("latin1").on("data", (chunk: string) => received += chunk)
    // The server may cut a request that it does not read to its end.
    socket.on("error", () => socket.destroy())
    socket.on("close", () => resume(Effect.succeed(received)))
  })

const statusesOf = (received: string) =>
  [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gmu)].map(([, status]) => Number(status))

it.live("answers whatever bytes it is sent without a 5xx, without HTML, and lives on", () =>
  Effect.gen(function*() {
    const { baseUrl, token } = yield* Api
    const port = Number(new URL(baseUrl).port)
    const count = yield* requestCount
    const answers = new Map<number, number>()
    yield* Effect.forEach(
      Array.from({ length: CONNECTIONS }, (_, index) => index),
      Effect.fnUntraced(function*() {
        for (let sent = 0; sent < count / CONNECTIONS; sent++) {
          const bytes = yield* requestBytes(token)
          const received = yield* exchange(port, bytes)
          const sample = bytes.subarray(0, 300).toString("latin1")
          for (const status of statusesOf(received)) {
            answers.set(status, (answers.get(status) ?? 0) + 1)
            assert.isBelow(status, 500, sample)
          }
          if (!received.includes("/docs")) assert.notMatch(received, /content-type: text\/html/iu, sample)
        }
      }),
      { concurrency: "unbounded", discard: true }
    )
    for (const status of [200, 400, 403, 404]) {
      assert.isAbove(answers.get(status) ?? 0, 0, `none was answered ${status}`)
    }
    const ask = (path: string) =>
      exchange(
        port,
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`)
      )
    assert.match(yield* ask("/health"), /^HTTP\/1\.1 200 /u)
    assert.include(yield* ask("/audit"), "\"zone_id\":\"zone\"", "some writes were accepted")
  }).pipe(Random.withSeed("origin-regions"), Effect.provide(Api.layer)))
