import { assert, describe, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { type ChildProcess, spawn } from "@origin-regions/testkit/ChildProcess"
import { Leash } from "@origin-regions/testkit/Leash"
import { Duration, Effect, Fiber, Option, Stream } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server as TcpServer,
  type Socket
} from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { assertNothingLost, type Sent, writing } from "./fixtures/AuditedWrites.ts"
import { repetitions } from "./fixtures/Repetitions.ts"

const main = fileURLToPath(new URL("./main.ts", import.meta.url))

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "api-main-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** The program in a directory of its own, with these settings and no others. */
const start = Effect.fnUntraced(function*(settings: Readonly<Record<string, string>>, environmentFile?: string) {
  const directory = yield* temporaryDirectory
  if (environmentFile !== undefined) writeFileSync(join(directory, ".env"), environmentFile)
  return yield* spawn({
    name: "the API",
    command: process.execPath,
    args: [main],
    directory,
    environment: settings
  })
})

const listening = Effect.fnUntraced(function*(settings: Readonly<Record<string, string>> = {}) {
  const child = yield* start({ API_TOKENS: "t0ken", API_PORT: "0", ...settings })
  const address = yield* child.firstLine((line) => Option.fromNullishOr(/"address":"(http[^"]+)"/u.exec(line)?.[1]))
  return { child, address, lines: Effect.map(Stream.runCollect(child.lines), (lines) => [...lines]) }
})

/** What a program that ended had to say, with how it ended. */
const lastWords = Effect.fnUntraced(function*(child: ChildProcess) {
  const { code } = yield* child.exit
  return { code, lines: [...(yield* Stream.runCollect(child.lines))] }
})

const collection = "/client/v4/zones/zone/cache/origin_cloud_regions"

const send = (address: string, path: string, init: RequestInit = {}) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`${address}${path}`, { headers: { authorization: "Bearer t0ken" }, ...init, signal })
    return { status: response.status, text: await response.text() }
  })

const openSocket = (address: string) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const { hostname, port } = new URL(address)
      const socket = connect(Number(port), hostname, () => resume(Effect.succeed(socket)))
      socket.setEncoding("utf8")
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Everything that the other side sends from now on until it closes. */
const received = (socket: Socket) =>
  Effect.callback<string>((resume) => {
    let text = ""
    socket.on("data", (chunk: string) => text += chunk)
    socket.on("close", () => resume(Effect.succeed(text)))
  }).pipe(Effect.forkChild({ startImmediately: true }))

/** The program has read the head of a request when it asks for its body. */
const untilContinue = (socket: Socket) =>
  Effect.callback<void>((resume) => {
    socket.once("data", () => resume(Effect.void))
  })

const body = JSON.stringify({ ip: "192.0.2.1", vendor: "aws", region: "us-east-1" })
const head = [
  `POST ${collection} HTTP/1.1`,
  "Host: api",
  "Authorization: Bearer t0ken",
  "Expect: 100-continue",
  `Content-Length: ${body.length}`,
  "",
  ""
].join("\r\n")

const stoppingLine = (child: ChildProcess) =>
  child.firstLine((line) => line.includes("\"Stopping\"") ? Option.some(line) : Option.none())

/** More by hand: `API_KILL_ROUNDS=50`. */
const killRounds = repetitions("API_KILL_ROUNDS", 3)

/** Beside the repository's own files, and so on a disk, where temporary files can be in memory. */
const directoryOnDisk = Effect.acquireRelease(
  Effect.sync(() => {
    const results = fileURLToPath(new URL("../.test-results", import.meta.url))
    mkdirSync(results, { recursive: true })
    return mkdtempSync(join(results, "kill-"))
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const countByStatus = (sent: ReadonlyArray<Sent>) =>
  Object.fromEntries(
    [...Map.groupBy(sent, ({ answer }) => answer?.status ?? "none")].map(([status, { length }]) => [status, length])
  )

describe("main", () => {
  it.live("names all its wrong settings in one message and exits with 2, before it does anything", () =>
    Effect.gen(function*() {
      const { code, lines } = yield* lastWords(
        yield* start({ API_PORT: "http", LOG_LEVEL: "loud", API_DATABASE: "/dev/null/api.sqlite" })
      )
      assert.strictEqual(code, 2)
      assert.match(lines.join("\n"), /^3 settings are wrong:\n/u)
      for (const setting of ["API_PORT", "LOG_LEVEL", "API_TOKENS"]) {
        assert.lengthOf(lines.filter((line) => line.includes(setting)), 1, setting)
      }
      assert.lengthOf(lines, 4)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live("takes settings from .env where it runs, and refuses one that it can't read", () =>
    Effect.gen(function*() {
      const child = yield* start({ API_PORT: "0" }, "API_TOKENS=t0ken\nAPI_PORT=many\n")
      const address = yield* child.firstLine((line) => Option.fromNullishOr(/"address":"(http[^"]+)"/u.exec(line)?.[1]))
      assert.strictEqual((yield* send(address, collection)).status, 200)
      yield* child.signal("SIGTERM")
      assert.strictEqual((yield* child.exit).code, 0)

      const refused = yield* lastWords(yield* start({ API_TOKENS: "t0ken" }, "API_PORT: 0\n"))
      assert.strictEqual(refused.code, 2)
      assert.match(
        refused.lines.join("\n"),
        /^A setting is wrong:\n  ENV_FILE is .*\.env": .* line 1 is not like that$/
      )
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live("says in one sentence that its port is taken, and exits with 1", () =>
    Effect.gen(function*() {
      const other = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const port = String((other.address() as AddressInfo).port)
      const { code, lines } = yield* lastWords(yield* start({ API_TOKENS: "t0ken", API_PORT: port }))
      assert.strictEqual(code, 1)
      assert.lengthOf(lines, 1)
      assert.include(lines[0], `Port ${port} of 127.0.0.1 is in use`)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live("says in one sentence that it can't have its database, and exits with 1", () =>
    Effect.gen(function*() {
      const file = join(yield* temporaryDirectory, "file")
      writeFileSync(file, "")
      const { code, lines } = yield* lastWords(
        yield* start({ API_TOKENS: "t0ken", API_PORT: "0", API_DATABASE: join(file, "api.sqlite") })
      )
      assert.strictEqual(code, 1)
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "API_DATABASE")
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  const mute = Effect.acquireRelease(
    Effect.callback<TcpServer>((resume) => {
      const server = createTcpServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

  it.live("says in one sentence that its PostgreSQL is not there, or says nothing, and exits with 1", () =>
    Effect.gen(function*() {
      const { port } = (yield* mute).address() as AddressInfo
      for (const [address, problem] of [["127.0.0.1:1", "ECONNREFUSED"], [`127.0.0.1:${port}`, "timed out"]] as const) {
        const { code, lines } = yield* lastWords(
          yield* start({
            API_TOKENS: "t0ken",
            API_PORT: "0",
            API_REQUEST_TIMEOUT: "1 second",
            DATABASE_URL: `postgres://user:s3cret@${address}/none`
          })
        )
        assert.strictEqual(code, 1)
        assert.lengthOf(lines, 1)
        assert.match(lines[0] ?? "", new RegExp(`DATABASE_URL.*${problem}.*Check that PostgreSQL`, "u"))
        assert.notInclude(lines[0], "s3cret")
      }
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live.each(["SIGTERM", "SIGINT"] as const)(
    "finishes what is under way on %s, lets idle connections go, and exits with 0",
    (signal) =>
      Effect.gen(function*() {
        const { address, child } = yield* listening()
        const idle = yield* openSocket(address)
        const idleClosed = yield* received(idle)
        idle.write("GET /health HTTP/1.1\r\nHost: api\r\n\r\n")
        const busy = yield* openSocket(address)
        busy.write(head)
        yield* untilContinue(busy)

        yield* child.signal(signal)
        yield* stoppingLine(child)
        assert.match(yield* Fiber.join(idleClosed), /^HTTP\/1.1 200 /u)
        const answer = yield* received(busy)
        busy.write(body)
        const [elapsed, text] = yield* Effect.timed(Fiber.join(answer))
        assert.match(text, /HTTP\/1.1 200 OK[^]*"origin-ip":"192.0.2.1"/u)
        assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined })
        assert.isBelow(Duration.toMillis(elapsed), 4000, "it went before the grace was over")
      }).pipe(Effect.scoped, Effect.provide(Leash.layer))
  )

  it.live("does not wait for a client that never finishes", () =>
    Effect.gen(function*() {
      const { address, child } = yield* listening()
      const stuck = yield* openSocket(address)
      stuck.write(head)
      yield* untilContinue(stuck)
      yield* child.signal("SIGTERM")
      const [elapsed, exit] = yield* Effect.timed(child.exit)
      assert.deepStrictEqual(exit, { code: 0, signal: undefined })
      assert.isBelow(Duration.toMillis(elapsed), 10_000)
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live("logs JSON lines and never a secret", () =>
    Effect.gen(function*() {
      const secrets = { API_TOKENS: "s3cret-token", API_KEYS: "a@example.com:s3cret-key" }
      const { address, child, lines } = yield* listening({ ...secrets, LOG_LEVEL: "All" })
      const credentials: ReadonlyArray<Record<string, string>> = [
        { authorization: "Bearer s3cret-token" },
        { authorization: "Bearer s3cret-other" },
        { authorization: "s3cret-malformed" },
        { "x-auth-email": "a@example.com", "x-auth-key": "s3cret-key" }
      ]
      for (const headers of credentials) {
        yield* send(address, collection, { headers })
        yield* send(address, "/nowhere", { headers })
      }
      yield* child.signal("SIGTERM")
      const said = yield* lines
      assert.isNotEmpty(said)
      for (const line of said) assert.isObject(JSON.parse(line), line)
      assert.notInclude(said.join("\n"), "s3cret")
    }).pipe(Effect.scoped, Effect.provide(Leash.layer)))

  it.live(
    "keeps every acknowledged write through kill -9, and an audit log that tells just what is stored",
    () =>
      Effect.gen(function*() {
        const databasePath = join(yield* directoryOnDisk, "api.sqlite")
        yield* Effect.gen(function*() {
          const api = yield* Api
          const sent: Array<Sent> = []
          for (let round = 0; round < killRounds.count; round++) {
            const { done, failed, sent: ofRound, stop } = yield* writing(api, `zone_${round}`)
            yield* done(100)
            yield* api.kill
            yield* failed(1)
            yield* stop
            sent.push(...ofRound)
            yield* api.start
            yield* assertNothingLost(api, sent)
          }
          if (killRounds.isLong) {
            yield* Effect.logInfo(
              `${killRounds.count} rounds; writes by status: ${JSON.stringify(countByStatus(sent))}`
            )
          }
        }).pipe(Effect.provide(Api.layerWith({ databasePath })))
        const database = new DatabaseSync(databasePath, { readOnly: true })
        assert.deepStrictEqual({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" })
        database.close()
      }).pipe(Effect.scoped),
    killRounds.options
  )
})
