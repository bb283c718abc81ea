/** Gets and durable creates in a second over 64 connections, next to a server that only echoes. */
import { Api } from "@origin-regions/testkit/Api"
import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Leash } from "@origin-regions/testkit/Leash"
import { Console, Duration, Effect, Schema } from "effect"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"

const CONNECTIONS = 64
const ROUNDS = 3
const ROUND = Duration.seconds(4)
const ZONES = 500

interface Load {
  readonly name: string
  readonly port: number
  readonly expected: number
  /** The text of the next request. */
  readonly next: () => string
}

interface Measured {
  readonly rate: number
  readonly p50: number
  readonly p99: number
}

/** Each connection sends a request, waits for all of its answer, and sends the next. Throws on an answer that is not expected. */
const drive = ({ expected, next, port }: Load): Effect.Effect<Measured> =>
  Effect.callback<Measured>((resume) => {
    const latencies: Array<number> = []
    const start = performance.now()
    const end = start + Duration.toMillis(ROUND)
    const status = `HTTP/1.1 ${expected} `
    let open = CONNECTIONS
    const run = () => {
      const socket = connect(port, "127.0.0.1")
      let received = ""
      let sentAt = 0
      const send = () => {
        sentAt = performance.now()
        socket.write(next())
      }
      socket.setEncoding("latin1").setNoDelay(true)
      socket.on("connect", send)
      socket.on("data", (chunk: string) => {
        received += chunk
        const head = received.indexOf("\r\n\r\n")
        if (head === -1) return
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1] ?? 0)
        if (received.length < head + 4 + length) return
        if (!received.startsWith(status)) throw new Error(`an answer that is not ${expected}: ${received}`)
        received = ""
        const now = performance.now()
        latencies.push(now - sentAt)
        if (now < end) return send()
        socket.destroy()
        if (--open === 0) {
          latencies.sort((a, b) => a - b)
          const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? NaN
          resume(Effect.succeed({ rate: latencies.length / ((now - start) / 1000), p50: at(0.5), p99: at(0.99) }))
        }
      })
    }
    for (let index = 0; index < CONNECTIONS; index++) run()
  })

const request = (method: string, path: string, token: string, body?: string): string =>
  [
    `${method} ${path} HTTP/1.1`,
    "Host: bench",
    `Authorization: Bearer ${token}`,
    ...(body === undefined ? [] : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`]),
    "",
    body ?? ""
  ].join("\r\n")

const collection = (zone: number) => `/client/v4/zones/zone-${zone}/cache/origin_cloud_regions`

const draft = (index: number) =>
  JSON.stringify({ ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, vendor: "aws", region: "us-east-1" })

const better = (a: Measured | undefined, b: Measured): Measured => a === undefined || b.rate > a.rate ? b : a

const line = (name: string, { p50, p99, rate }: Measured, part?: number) =>
  `${name.padEnd(22)}${rate.toFixed(0).padStart(7)}/s   p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms${
    part === undefined ? "" : `   ${(part * 100).toFixed(0)}%`
  }`

const decodeAddress = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ port: Schema.Int })))

const main = Effect.gen(function*() {
  const api = yield* Api
  const echo = yield* spawn({
    name: "the echo server",
    command: process.execPath,
    args: [fileURLToPath(new URL("./fixtures/EchoServer.ts", import.meta.url))],
    environment: {}
  })
  const echoPort = (yield* echo.firstLine(decodeAddress)).port
  const apiPort = Number(new URL(api.baseUrl).port)

  let created = 0
  const create = () => {
    const index = created++
    return request("POST", collection(index % ZONES), api.token, draft(index))
  }
  const bareGet = request("GET", `${collection(0)}/10.0.0.0`, api.token)
  const barePost = request("POST", collection(0), api.token, draft(0))
  const loads: ReadonlyArray<Load> = [
    { name: "echo, GET", port: echoPort, expected: 200, next: () => bareGet },
    { name: "durable create", port: apiPort, expected: 200, next: create },
    { name: "echo, POST", port: echoPort, expected: 200, next: () => barePost },
    { name: "get", port: apiPort, expected: 200, next: () => bareGet }
  ]
  const best = new Map<string, Measured>()
  // Alternately, so that whatever else the machine does meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    for (const load of loads) best.set(load.name, better(best.get(load.name), yield* drive(load)))
  }
  const [echoGet, creates, echoPost, gets] = loads.map(({ name }) =>
    best.get(name) ?? { rate: NaN, p50: NaN, p99: NaN }
  )
  if (echoGet === undefined || creates === undefined || echoPost === undefined || gets === undefined) return
  yield* Console.log(`${CONNECTIONS} connections, the best of ${ROUNDS} rounds of ${Duration.format(ROUND)}`)
  yield* Console.log(line("echo, GET", echoGet))
  yield* Console.log(line("get", gets, gets.rate / echoGet.rate))
  yield* Console.log(line("echo, POST", echoPost))
  yield* Console.log(line("durable create", creates, creates.rate / echoPost.rate))
})

await Effect.runPromise(Effect.scoped(main).pipe(Effect.provide([Api.layer, Leash.layer])))
