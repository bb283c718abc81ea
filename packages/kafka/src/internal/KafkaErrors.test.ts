import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { connect } from "node:net"
import { KafkaError, Unreachable } from "../KafkaError.ts"
import { isLeaderless, isUnreachable, kafkaError } from "./KafkaErrors.ts"

const require = createRequire(import.meta.url)

const errors = require("kafkajs/src/errors") as {
  readonly KafkaJSConnectionError: new(message: string, options: object) => Error
  readonly KafkaJSDeleteGroupsError: new(message: string, groups: ReadonlyArray<object>) => Error
  readonly KafkaJSGroupCoordinatorNotFound: new(message: string) => Error
  readonly KafkaJSNumberOfRetriesExceeded: new(error: Error, options: object) => Error
  readonly KafkaJSSASLAuthenticationError: new(message: string) => Error
}
const { createErrorFromCode } = require("kafkajs/src/protocol/error") as { createErrorFromCode(code: number): Error }

const reason = (error: unknown) => kafkaError("do it", error).reason

describe("kafkaError", () => {
  it("knows Kafka's errors by their code", () => {
    const expected = {
      3: "UnknownTopic",
      5: "Unreachable",
      10: "RecordTooLarge",
      12: "Refused",
      14: "Unreachable",
      22: "StaleGeneration",
      25: "StaleGeneration",
      27: "StaleGeneration",
      29: "Unauthorized",
      58: "Unauthorized",
      74: "Unreachable"
    }
    for (const [code, tag] of Object.entries(expected)) {
      assert.strictEqual(reason(createErrorFromCode(Number(code)))._tag, tag, code)
    }
  })

  it("looks for what went wrong inside of what kafkajs wraps it in", () => {
    const { KafkaJSConnectionError, KafkaJSDeleteGroupsError, KafkaJSNumberOfRetriesExceeded } = errors
    const refused = new KafkaJSConnectionError("Connection error: connect ECONNREFUSED 127.0.0.1:1", {
      broker: "127.0.0.1:1",
      code: "ECONNREFUSED"
    })
    const wrapped = new KafkaJSNumberOfRetriesExceeded(refused, { retryCount: 5, retryTime: 1 })
    assert.deepStrictEqual(
      reason(wrapped),
      new Unreachable({ detail: "Connection error: connect ECONNREFUSED 127.0.0.1:1" })
    )
    const notEmpty = new KafkaJSDeleteGroupsError("Error in DeleteGroups", [{ error: createErrorFromCode(68) }])
    assert.strictEqual(reason(notEmpty)._tag, "Refused")
    assert.strictEqual(reason(new AggregateError([createErrorFromCode(7)]))._tag, "Unreachable")
  })

  it("says which broker, and what the system said of a name with several addresses", async () => {
    const { KafkaJSConnectionError } = errors
    const timeout = new KafkaJSConnectionError("Connection timeout", { broker: "one:9092" })
    assert.strictEqual(kafkaError("connect", timeout).message, "Could not connect: Connection timeout (one:9092)")
    // Node has nothing to say where all of a name's addresses fail, but for the code.
    const system = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connect({
        host: "localhost",
        port: 1,
        lookup: (_host, _options, found) =>
          found(null, [{ address: "127.0.0.1", family: 4 }, { address: "127.0.0.2", family: 4 }])
      }).on("error", resolve)
    })
    const several = new KafkaJSConnectionError(`Connection error: ${system.message}`, {
      broker: "localhost:1",
      code: system.code ?? ""
    })
    assert.strictEqual(reason(several).detail, "Connection error: ECONNREFUSED (localhost:1)")
  })

  it("tells an outage from what somebody has to see to", () => {
    const { KafkaJSConnectionError, KafkaJSGroupCoordinatorNotFound, KafkaJSSASLAuthenticationError } = errors
    assert.isTrue(isUnreachable(new KafkaJSGroupCoordinatorNotFound("none")))
    assert.isTrue(isUnreachable(Object.assign(new Error("getaddrinfo EAI_AGAIN kafka"), { code: "EAI_AGAIN" })))
    assert.strictEqual(reason(new KafkaJSSASLAuthenticationError("SASL PLAIN: no"))._tag, "Unauthorized")
    const tls = new KafkaJSConnectionError("Connection error: self-signed certificate", {
      code: "DEPTH_ZERO_SELF_SIGNED_CERT"
    })
    assert.strictEqual(reason(tls)._tag, "Unauthorized")
    assert.strictEqual(reason(new TypeError("x is undefined"))._tag, "Crashed")
    assert.strictEqual(reason("a text")._tag, "Crashed")
  })

  it("leaves its own errors as they are", () => {
    const own = new KafkaError({ operation: "first", reason: new Unreachable({ detail: "d" }) })
    assert.strictEqual(kafkaError("second", own), own)
  })
})

describe("isLeaderless", () => {
  it("says whether a partition's leader, or a group's coordinator, is about to be another one", () => {
    const codes = [5, 6, 14, 15, 16]
    for (const code of codes) assert.isTrue(isLeaderless(createErrorFromCode(code)), String(code))
    for (const code of [3, 22, 58]) assert.isFalse(isLeaderless(createErrorFromCode(code)), String(code))
  })
})
