import { assert, describe, it, layer } from "@effect/vitest"
import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { Api } from "@origin-regions/testkit/Api"
import { Duration, Effect, Fiber } from "effect"

const withFaults = Api.layerWith({ environment: { API_FAULTS: "true" } })

const send = (method: string, path: string, body?: unknown) =>
  Effect.flatMap(Api, ({ baseUrl, token }) =>
    Effect.tryPromise(async (signal) => {
      const response = await fetch(new URL(path, baseUrl), {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as { result: unknown } }
    }))

const collection = (zone: string) => `/client/v4/zones/${zone}/cache/origin_cloud_regions`
const draft = { ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }

const plan = (...rules: ReadonlyArray<unknown>) =>
  Effect.map(send("PUT", "/faults", { seed: 1, rules }), ({ status }) => assert.strictEqual(status, 200))

/** How many changes the audit log knows of the zone, and how many mappings the API. */
const inZone = Effect.fnUntraced(function*(zone: string) {
  yield* send("DELETE", "/faults")
  const audit = (yield* send("GET", `/audit?zone=${zone}`)).body.result as ReadonlyArray<unknown>
  const list = (yield* send("GET", collection(zone))).body.result as { readonly value: ReadonlyArray<unknown> }
  return { changes: audit.length, mappings: list.value.length }
})

layer(withFaults, { excludeTestServices: true })("fault injection", (it) => {
  it.effect("shows the plan in force, and none at first", () =>
    Effect.gen(function*() {
      assert.isNull((yield* send("GET", "/faults")).body.result)
      const wanted = { seed: 5, rules: [{ probability: 0, fault: { type: "reset", when: "after" } }] }
      assert.deepStrictEqual((yield* send("PUT", "/faults", wanted)).body.result, wanted)
      assert.deepStrictEqual((yield* send("GET", "/faults")).body.result, wanted)
      const refused = yield* send("PUT", "/faults", { seed: 5 })
      assert.strictEqual(refused.status, 400)
      assert.include(refused.text, "rules: ")
      assert.deepStrictEqual((yield* send("GET", "/faults")).body.result, wanted)
      assert.isNull((yield* send("DELETE", "/faults")).body.result)
    }))

  it.effect.each([["before", 0], ["after", 1]] as const)(
    "resets a connection %s the write",
    ([when, done]) =>
      Effect.gen(function*() {
        const zone = `reset_${when}`
        yield* plan({ methods: ["POST"], zone, fault: { type: "reset", when } })
        yield* Effect.flip(send("POST", collection(zone), draft))
        assert.deepStrictEqual(yield* inZone(zone), { changes: done, mappings: done })
      })
  )

  it.effect.each([["before", 0], ["after", 1]] as const)(
    "answers with a 5xx %s the write",
    ([when, done]) =>
      Effect.gen(function*() {
        const zone = `error_${when}`
        yield* plan({ methods: ["POST"], zone, fault: { type: "error", status: 503, when } })
        const answer = yield* send("POST", collection(zone), draft)
        assert.strictEqual(answer.status, 503)
        assert.isNull(answer.body.result)
        assert.deepStrictEqual(yield* inZone(zone), { changes: done, mappings: done })
      })
  )

  it.effect.each<readonly [string, { readonly code?: number }, ApiErrorName]>([
    ["1140, where it does not say", {}, "internal_error"],
    ["1140", { code: 1140 }, "internal_error"],
    ["1156", { code: 1156 }, "region_check_failed"]
  ])("answers with %s", ([, code, name]) =>
    Effect.gen(function*() {
      yield* plan({ fault: { type: "error", status: 500, ...code, when: "before" } })
      const { code: expected, message } = apiErrors[name]
      assert.deepStrictEqual<unknown>((yield* send("POST", collection("coded"), draft)).body, {
        success: false,
        errors: [{ code: expected, message }],
        messages: [],
        result: null
      })
    }))

  it.effect("throttles with the time to wait", () =>
    Effect.gen(function*() {
      yield* plan({ zone: "throttled", fault: { type: "throttle", retry_after: 7 } })
      const answer = yield* send("POST", collection("throttled"), draft)
      assert.strictEqual(answer.status, 429)
      assert.strictEqual(answer.headers.get("retry-after"), "7")
      assert.include(answer.text, "\"code\":971")
      assert.deepStrictEqual(yield* inZone("throttled"), { changes: 0, mappings: 0 })
    }))

  it.effect.each(["delay", "slow_body"])(
    "takes the time of a %s, and answers the same",
    (type) =>
      Effect.gen(function*() {
        const expected = yield* send("GET", `${collection("zone")}/supported_regions`)
        yield* plan({ methods: ["GET"], fault: { type, millis: 300 } })
        const [elapsed, answer] = yield* Effect.timed(send("GET", `${collection("zone")}/supported_regions`))
        assert.isAtLeast(Duration.toMillis(elapsed), 290)
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(answer.text, expected.text)
        assert.strictEqual(answer.headers.get("content-length"), expected.headers.get("content-length"))
        assert.strictEqual(answer.headers.get("content-type"), expected.headers.get("content-type"))
        yield* send("DELETE", "/faults")
      })
  )

  it.effect("keeps away from what is beside the API", () =>
    Effect.gen(function*() {
      yield* plan({ fault: { type: "error", status: 500, when: "before" } })
      assert.strictEqual((yield* send("GET", "/health")).status, 200)
      assert.strictEqual((yield* send("GET", "/audit")).status, 200)
      assert.strictEqual((yield* send("GET", collection("zone"))).status, 500)
      assert.strictEqual((yield* send("DELETE", "/faults")).status, 200)
      assert.strictEqual((yield* send("GET", collection("zone"))).status, 200)
    }))
})

describe("fault injection", () => {
  it.live("is not there unless the settings allow it", () =>
    Effect.gen(function*() {
      for (const method of ["GET", "PUT", "DELETE"]) {
        assert.include(
          (yield* send(method, "/faults", method === "PUT" ? { seed: 1, rules: [] } : undefined)).text,
          "7003"
        )
      }
    }).pipe(Effect.provide(Api.layer)))

  it.live("keeps nothing from ending", () =>
    Effect.gen(function*() {
      yield* plan(
        { methods: ["GET"], fault: { type: "delay", millis: 600_000 } },
        { methods: ["POST"], fault: { type: "reset", when: "before" } }
      )
      yield* Effect.flip(send("POST", collection("zone"), draft))
      const delayed = yield* Effect.forkChild(send("GET", collection("zone")), { startImmediately: true })
      const { stop } = yield* Api
      const [elapsed] = yield* Effect.timed(stop)
      assert.isBelow(Duration.toMillis(elapsed), 10_000)
      yield* Fiber.interrupt(delayed)
    }).pipe(Effect.provide(withFaults)))
})
