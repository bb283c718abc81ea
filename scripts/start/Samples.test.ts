import { assert, describe, it } from "@effect/vitest"
import type { MappingKey } from "@origin-regions/domain/MappingKey"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { expectedCode, readSamples, type Sample } from "./Samples.ts"

const requests = readFileSync(NodePath.join(root, "examples/requests.jsonl"), "utf8")
const outcomes = readFileSync(NodePath.join(root, "examples/outcomes.json"), "utf8")

const event = (id: string) =>
  JSON.stringify({ specversion: "1.0", id, source: "/examples", type: "t", data: { ip: "1" } })

const problemOf = (requests: string, outcomes: string) =>
  Effect.map(Effect.flip(readSamples(requests, outcomes, "/s")), ({ message }) => message)

/** The networks that are set aside for documentation (RFC 5737, RFC 3849), mapped addresses included. */
const documentationNetwork = /^(::ffff:)?(192\.0\.2|198\.51\.100|203\.0\.113)\.|^2001:db8:/

describe("the examples", () => {
  it.effect("are at least 16, each with an expected outcome, and no outcome is expected of what is not there", () =>
    Effect.gen(function*() {
      const samples = yield* readSamples(requests, outcomes, "/run")
      assert.isAtLeast(samples.size, 16)
      assert.sameMembers(Object.keys(JSON.parse(outcomes)), [...samples.keys()])
    }))

  it.effect("use addresses for documentation only", () =>
    Effect.gen(function*() {
      for (const { key } of (yield* readSamples(requests, outcomes, "/run")).values()) {
        if (key !== undefined) assert.match(key.slice(key.indexOf("/") + 1), documentationNetwork)
      }
    }))

  it.effect("show every outcome that needs no fault", () =>
    Effect.gen(function*() {
      const samples = [...(yield* readSamples(requests, outcomes, "/run")).values()]
      const codes = new Set(samples.map((sample) => expectedCode(sample, new Set())))
      for (
        const code of [
          "created",
          "upserted",
          "deleted",
          "unchanged",
          "1145",
          "1146",
          "1157",
          "expired",
          "malformed_request"
        ]
      ) assert.isTrue(codes.has(code), code)
    }))
})

describe("readSamples", () => {
  it.effect("gives every event the source of the run, and keeps the rest", () =>
    Effect.gen(function*() {
      const samples = yield* readSamples(requests, outcomes, "/run")
      const originals = requests.trim().split("\n").map((line): unknown => JSON.parse(line))
      const sent = [...samples.values()].map(({ text }): unknown => JSON.parse(text))
      assert.deepStrictEqual(sent, originals.map((original) => Object.assign({}, original, { source: "/run" })))
    }))

  it.effect("says what is asked for as it is spelled, and knows the address in its canonical form", () =>
    Effect.gen(function*() {
      const sample = (yield* readSamples(requests, outcomes, "/run")).get("ipv6-long-spelling")
      assert.strictEqual(
        sample?.asked,
        "create demo-shop/2001:0DB8:0000:0000:0000:0000:0000:0010 as gcp europe-west1"
      )
      assert.strictEqual(sample?.key, "demo-shop/2001:db8::10")
      assert.strictEqual(sample?.zoneId, "demo-shop")
      assert.strictEqual(
        readRequest({ value: new TextEncoder().encode(sample?.text), headers: [] }).verdict._tag,
        "Apply"
      )
    }))

  it.effect("tells what keeps the examples from being used", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* problemOf(`${event("a")}\n\n${event("a")}`, "{\"a\":\"1\"}"),
        "examples/requests.jsonl:3: the id a is there already."
      )
      assert.strictEqual(
        yield* problemOf(event("a"), "{}"),
        "examples/requests.jsonl:1: examples/outcomes.json does not say what comes of a."
      )
      assert.strictEqual(yield* problemOf("{", "{}"), "examples/requests.jsonl:1 is not a JSON object with an id.")
      assert.strictEqual(yield* problemOf("\n", "{}"), "examples/requests.jsonl has no request.")
      assert.match(yield* problemOf(event("a"), "{\"a\":1}"), /^examples\/outcomes\.json is not as it should be: /)
    }))
})

describe("expectedCode", () => {
  const sample: Sample = {
    id: "a",
    text: "",
    asked: "",
    zoneId: undefined,
    key: "z/192.0.2.1",
    expected: { absent: "created", present: "1145" }
  }
  const mapped = new Set<MappingKey>(["z/192.0.2.1"])

  it("depends on whether the address had a mapping, where it does", () => {
    assert.strictEqual(expectedCode(sample, mapped), "1145")
    assert.strictEqual(expectedCode(sample, new Set()), "created")
    assert.strictEqual(expectedCode({ ...sample, key: undefined }, mapped), "created")
    assert.strictEqual(expectedCode({ ...sample, expected: "1146" }, mapped), "1146")
  })
})
