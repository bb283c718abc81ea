import { assert, describe, it } from "@effect/vitest"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Duration, Effect, Exit, Fiber, Queue, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createServer as createHttpServer } from "node:http"
import { createServer as createTcpServer } from "node:net"
import type { ApiError, ApiErrorReason } from "./ApiError.ts"
import { answering, bodyOf, connect, httpServer, listen, tcpServer, token } from "./fixtures/LoopbackServer.ts"
import type { OriginRegionsApi } from "./OriginRegionsApi.ts"

const zone = ZoneId.make("zone-1")
const address = { zone_id: zone, origin_ip: OriginIp.make("2001:db8::1") }
const desired = { ...address, vendor: Vendor.make("aws"), region: Region.make("us-east-1") }
const entry = { "origin-ip": "2001:db8::1", vendor: "aws", region: "us-east-1", modified_on: "2026-11-24T10:00:00Z" }
const mapping = { ...desired, modified_on: entry.modified_on }

const success = (value: unknown) =>
  JSON.stringify({
    success: true,
    errors: [],
    messages: [],
    result: { id: "origin_public_cloud_region", editable: true, modified_on: "2026-11-24T11:00:00Z", value }
  })

const reasonAt = (url: string) =>
  connect(url).pipe(
    Effect.flatMap((api) => api.create(desired)),
    Effect.flip,
    Effect.map(({ reason }) => reason)
  )

const unreachable = (reason: ApiErrorReason, sent: boolean, cause: string) => {
  assert.strictEqual(reason._tag, "Unreachable")
  assert.propertyVal(reason, "sent", sent)
  assert.strictEqual(reason.mayHaveBeenApplied, sent)
  assert.include(reason.message, cause)
}

describe("OriginRegionsApi over the wire", () => {
  interface Row {
    readonly name: string
    readonly use: (api: OriginRegionsApi["Service"]) => Effect.Effect<unknown, ApiError>
    readonly line: string
    readonly body: string
    readonly answer: string
    readonly result: unknown
  }
  const collection = "/client/v4/zones/zone-1/cache/origin_cloud_regions"
  const desiredBody = "{\"ip\":\"2001:db8::1\",\"vendor\":\"aws\",\"region\":\"us-east-1\"}"
  const regions = { obtained_codes: false, vendors: { aws: [{ name: "us-east-1", upper_tier_colos: ["IAD"] }] } }
  const rows: ReadonlyArray<Row> = [
    {
      name: "create",
      use: (api) => api.create(desired),
      line: `POST ${collection}`,
      body: desiredBody,
      answer: success(entry),
      result: mapping
    },
    {
      name: "upsert",
      use: (api) => api.upsert(desired),
      line: `PATCH ${collection}`,
      body: desiredBody,
      answer: success([{ ...entry, "origin-ip": "192.0.2.1" }, entry]),
      result: mapping
    },
    {
      name: "delete",
      use: (api) => api.delete(address),
      line: `DELETE ${collection}/2001:db8::1`,
      body: "",
      answer: success(entry),
      result: mapping
    },
    {
      name: "get",
      use: (api) => api.get(address),
      line: `GET ${collection}/2001:db8::1`,
      body: "",
      answer: success(entry),
      result: mapping
    },
    {
      name: "list",
      use: (api) => api.list(zone),
      line: `GET ${collection}`,
      body: "",
      answer: success([entry]),
      result: [mapping]
    },
    {
      name: "supportedRegions",
      use: (api) => api.supportedRegions(zone),
      line: `GET ${collection}/supported_regions`,
      body: "",
      answer: JSON.stringify({ success: true, errors: [], messages: [], result: regions }),
      result: regions
    }
  ]

  it.effect.each(rows)("$name", ({ answer, body, line, result, use }) =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const fiber = yield* Effect.forkChild(use(yield* connect(`${server.url}/`)))
      const { request, response } = yield* server.next
      assert.strictEqual(`${request.method} ${request.url}`, line)
      assert.strictEqual(request.headers.authorization, `Bearer ${token}`)
      assert.strictEqual(request.headers["content-type"], body === "" ? undefined : "application/json")
      assert.strictEqual(yield* bodyOf(request), body)
      response.end(answer)
      assert.deepStrictEqual(yield* Fiber.join(fiber), result)
    }))

  it.effect("sends an e-mail address and a key in their own headers", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const credential = { _tag: "Key", email: "ops@example.com", key: Redacted.make("a-key") } as const
      const fiber = yield* Effect.forkChild((yield* connect(server.url, { credential })).get(address))
      const { request, response } = yield* server.next
      assert.strictEqual(request.headers["x-auth-email"], "ops@example.com")
      assert.strictEqual(request.headers["x-auth-key"], "a-key")
      assert.isUndefined(request.headers.authorization)
      response.end(success(entry))
      yield* Fiber.join(fiber)
    }))
})

describe("OriginRegionsApi and answers that are none", () => {
  it.effect("a 503 with Retry-After in seconds", () =>
    Effect.gen(function*() {
      const server = yield* answering(503, "", { "retry-after": "7" })
      const reason = yield* reasonAt(server.url)
      assert.deepStrictEqual({ ...reason }, {
        _tag: "Unavailable",
        status: 503,
        code: undefined,
        message: "status 503 with an empty body instead of the API's errors",
        retryAfter: Duration.seconds(7)
      })
    }))

  it.effect("a 503 with Retry-After as a date", () =>
    Effect.gen(function*() {
      const server = yield* answering(503, "", {
        date: "Tue, 24 Nov 2026 12:00:00 GMT",
        "retry-after": "Tue, 24 Nov 2026 12:00:09 GMT"
      })
      assert.deepInclude(yield* reasonAt(server.url), { _tag: "Unavailable", retryAfter: Duration.seconds(9) })
    }))

  it.effect("a 502 in HTML", () =>
    Effect.gen(function*() {
      const server = yield* answering(502, "<html>Bad gateway</html>", { "content-type": "text/html; charset=UTF-8" })
      const reason = yield* reasonAt(server.url)
      assert.strictEqual(
        reason.message,
        "status 502 with a body of text/html; charset=UTF-8 instead of the API's errors"
      )
      assert.isTrue(reason.mayHaveBeenApplied)
    }))

  it.effect("a 429 with 971", () =>
    Effect.gen(function*() {
      const body = JSON.stringify({
        success: false,
        errors: [{ code: 971, message: "Please wait and consider throttling your request speed" }],
        messages: [],
        result: null
      })
      const server = yield* answering(429, body, { "retry-after": "300" })
      assert.deepInclude(yield* reasonAt(server.url), {
        _tag: "RateLimited",
        code: 971,
        retryAfter: Duration.minutes(5)
      })
    }))

  it.effect("a 200 without success", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, "{\"success\":false,\"errors\":[],\"messages\":[],\"result\":null}")
      const reason = yield* reasonAt(server.url)
      assert.strictEqual(reason._tag, "Unavailable")
      assert.isTrue(reason.mayHaveBeenApplied)
    }))

  it.effect.each(["", "garbage", "{\"success\":true", "null", "{\"success\":true,\"result\":null}", success([])])(
    "a 200 with the body %j",
    (body) =>
      Effect.gen(function*() {
        const server = yield* answering(200, body)
        const reason = yield* reasonAt(server.url)
        assert.strictEqual(reason._tag, "InvalidResponse")
        assert.isTrue(reason.mayHaveBeenApplied)
      })
  )

  it.effect("an upsert's list without the mapping", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success([{ ...entry, "origin-ip": "192.0.2.1" }]))
      const error = yield* Effect.flip((yield* connect(server.url)).upsert(desired))
      assert.strictEqual(error.message, "status 200 with a result that is not a list that holds the mapping")
    }))

  it.effect("a text that echoes the credential", () =>
    Effect.gen(function*() {
      const server = yield* answering(
        400,
        JSON.stringify({ success: false, errors: [{ code: 6003, message: `Invalid token ${token}` }] })
      )
      assert.strictEqual((yield* reasonAt(server.url)).message, "Invalid token <redacted>")
    }))

  it.effect("a redirect is not followed", () =>
    Effect.gen(function*() {
      const server = yield* answering(301, "", { location: "https://api.cloudflare.com/" })
      const reason = yield* reasonAt(server.url)
      assert.include(reason.message, "CLOUDFLARE_BASE_URL")
      assert.isFalse(reason.mayHaveBeenApplied)
    }))
})

describe("OriginRegionsApi and big answers", () => {
  const others = Array.from({ length: 3_499 }, (_, index) => ({
    ...entry,
    "origin-ip": `198.51.${index >> 8}.${index & 255}`
  }))

  it.effect("a full zone's list, and the same after an upsert", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success([...others, entry]))
      const api = yield* connect(server.url)
      const list = yield* api.list(zone)
      assert.lengthOf(list, 3_500)
      assert.deepStrictEqual(list.at(-1), mapping)
      assert.deepStrictEqual(yield* api.upsert(desired), mapping)
    }))

  it.effect("an answer without end is cut off", () =>
    Effect.gen(function*() {
      const block = Buffer.alloc(1024 * 1024, " ")
      const server = yield* listen(createHttpServer((_, response) => {
        const more = () => {
          while (response.writable && response.write(block)) { /* until the buffer is full */ }
        }
        response.on("drain", more)
        more()
      }))
      const reason = yield* reasonAt(server.url)
      assert.strictEqual(reason.message, "status 200 with a body of more than 16777216 bytes")
      yield* Queue.take(server.closed)
    }))
})

describe("OriginRegionsApi and broken connections", () => {
  it.effect("refused: not sent", () =>
    Effect.gen(function*() {
      const url = yield* Effect.scoped(Effect.map(listen(createTcpServer()), ({ url }) => url))
      unreachable(yield* reasonAt(url), false, "ECONNREFUSED")
    }))

  it.effect("no TLS where https is asked for: not sent", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success(entry))
      const reason = yield* reasonAt(server.url.replace("http:", "https:"))
      unreachable(reason, false, "SSL")
    }))

  it.effect("closed before the answer: sent", () =>
    Effect.gen(function*() {
      const server = yield* tcpServer((socket) => socket.end())
      unreachable(yield* reasonAt(server.url), true, "other side closed")
    }))

  it.effect("reset before the answer: sent", () =>
    Effect.gen(function*() {
      const server = yield* tcpServer((socket) => socket.resetAndDestroy())
      unreachable(yield* reasonAt(server.url), true, "ECONNRESET")
    }))

  it.effect("reset in the middle of the body: sent", () =>
    Effect.gen(function*() {
      const server = yield* tcpServer((socket) => {
        socket.write(
          "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"success\":true,",
          () => socket.resetAndDestroy()
        )
      })
      unreachable(yield* reasonAt(server.url), true, "")
    }))

  it.effect("closed in the middle of a chunked body: sent", () =>
    Effect.gen(function*() {
      const server = yield* tcpServer((socket) => {
        socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"success\":true,\r\n")
      })
      unreachable(yield* reasonAt(server.url), true, "")
    }))

  it.effect("an answer that is no HTTP: sent", () =>
    Effect.gen(function*() {
      const server = yield* tcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.7\r\n"))
      unreachable(yield* reasonAt(server.url), true, "")
    }))

  it.effect("the next call opens a new connection", () =>
    Effect.gen(function*() {
      let requests = 0
      const server = yield* listen(createHttpServer((_, response) => {
        requests += 1
        if (requests % 2 === 1) response.socket?.resetAndDestroy()
        else response.end(success(entry))
      }))
      const api = yield* connect(server.url)
      for (let round = 0; round < 5; round++) {
        assert.strictEqual((yield* Effect.flip(api.get(address))).reason._tag, "Unreachable")
        assert.deepStrictEqual(yield* api.get(address), mapping)
      }
    }))
})

describe("OriginRegionsApi and time", () => {
  /** A call ends at its timeout of 10 s or within a sixteenth of it more. */
  const passTimeout = TestClock.adjust("11 seconds")
  const timedOut = "the timeout of 10s passed"

  it.effect("no answer: ends at the timeout, not before, and closes the connection", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url)
      const fiber = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      yield* server.next
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      unreachable((yield* Fiber.join(fiber)).reason, true, timedOut)
      yield* Queue.take(server.closed)
    }))

  it.effect("a body that trickles doesn't extend the timeout", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url)
      const fiber = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      const { response } = yield* server.next
      for (const chunk of ["{", "\"success\":", "true,"]) {
        yield* Effect.callback<void>((resume) => {
          response.write(chunk, () => resume(Effect.void))
        })
        yield* TestClock.adjust("3 seconds")
      }
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      unreachable((yield* Fiber.join(fiber)).reason, true, timedOut)
      yield* Queue.take(server.closed)
    }))

  it.effect("each call has its own time", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url)
      const older = yield* Effect.forkChild(Effect.flip(api.get(address)))
      yield* server.next
      yield* TestClock.adjust("6 seconds")
      const younger = yield* Effect.forkChild(api.get(address))
      const { response } = yield* server.next
      yield* TestClock.adjust("6 seconds")
      unreachable((yield* Fiber.join(older)).reason, true, timedOut)
      assert.isUndefined(younger.pollUnsafe())
      response.end(success(entry))
      assert.deepStrictEqual(yield* Fiber.join(younger), mapping)
    }))

  it.effect("a call that never got a connection wasn't sent", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url, { connections: 1 })
      const sent = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      yield* server.next
      const waiting = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      yield* Effect.yieldNow
      yield* passTimeout
      unreachable((yield* Fiber.join(sent)).reason, true, timedOut)
      unreachable((yield* Fiber.join(waiting)).reason, false, timedOut)
      // The server sees the third call next: the second was really not sent.
      const third = yield* Effect.forkChild(api.get(address))
      const { request, response } = yield* server.next
      assert.strictEqual(request.method, "GET")
      response.end(success(entry))
      yield* Fiber.join(third)
    }))

  it.effect("a connection that can't be opened: ends at the timeout, not sent", () =>
    Effect.gen(function*() {
      // TLS to a server that says nothing.
      const server = yield* listen(createTcpServer())
      const api = yield* connect(server.url.replace("http:", "https:"))
      const fiber = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      yield* Queue.take(server.opened)
      yield* passTimeout
      unreachable((yield* Fiber.join(fiber)).reason, false, timedOut)
    }))
})

describe("OriginRegionsApi and interruption", () => {
  it.effect("aborts the request", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url)
      const fiber = yield* Effect.forkChild(api.create(desired))
      yield* server.next
      yield* Fiber.interrupt(fiber)
      yield* Queue.take(server.closed)
    }))

  it.effect("drops a call that waits for a connection, and leaves the connection alone", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const api = yield* connect(server.url, { connections: 1 })
      const first = yield* Effect.forkChild(api.get(address))
      const { response } = yield* server.next
      const second = yield* Effect.forkChild(api.create(desired))
      const third = yield* Effect.forkChild(api.delete(address))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(second)
      response.end(success(entry))
      yield* Fiber.join(first)
      const next = yield* server.next
      assert.strictEqual(next.request.method, "DELETE")
      next.response.end(success(entry))
      yield* Fiber.join(third)
      assert.strictEqual(yield* Queue.size(server.opened), 1)
    }))
})

describe("OriginRegionsApi and its connections", () => {
  it.effect("are kept between calls", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success(entry))
      const api = yield* connect(server.url)
      for (let index = 0; index < 50; index++) yield* api.get(address)
      // Not always 1: a call that follows at once can find the connection still busy with the end of the last answer.
      assert.isAtMost(yield* Queue.size(server.opened), 2)
    }))

  it.effect("are no more than the limit", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success(entry))
      const api = yield* connect(server.url, { connections: 3 })
      yield* Effect.forEach(Array.from({ length: 200 }), () => api.get(address), {
        concurrency: "unbounded",
        discard: true
      })
      assert.strictEqual(yield* Queue.size(server.opened), 3)
    }))

  it.effect("close with the scope", () =>
    Effect.gen(function*() {
      const server = yield* answering(200, success(entry))
      yield* Effect.scoped(Effect.gen(function*() {
        const api = yield* connect(server.url, { connections: 3 })
        yield* Effect.forEach(Array.from({ length: 20 }), () => api.get(address), {
          concurrency: "unbounded",
          discard: true
        })
        assert.strictEqual(server.sockets.size, 3)
      }))
      yield* Effect.all([Queue.take(server.closed), Queue.take(server.closed), Queue.take(server.closed)])
    }))

  it.effect("close with the scope although a call is under way, which ends; later calls fail", () =>
    Effect.gen(function*() {
      const server = yield* httpServer
      const scope = yield* Scope.make()
      const api = yield* Scope.provide(connect(server.url), scope)
      const fiber = yield* Effect.forkChild(Effect.flip(api.create(desired)))
      yield* server.next
      yield* Scope.close(scope, Exit.void)
      unreachable((yield* Fiber.join(fiber)).reason, true, "")
      yield* Queue.take(server.closed)
      unreachable((yield* Effect.flip(api.create(desired))).reason, false, "destroyed")
    }))
})
