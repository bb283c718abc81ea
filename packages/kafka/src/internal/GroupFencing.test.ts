import { assert, describe, it } from "@effect/vitest"
import { createRequire } from "node:module"
import { fencedBy, requireStable } from "./GroupFencing.ts"
import { kafkaError } from "./KafkaErrors.ts"
import "./PatchedKafkaJS.ts"

const require = createRequire(import.meta.url)

interface Protocol {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly encode: () => Promise<{ buffer: Buffer }>
  }
  readonly response: {
    readonly decode: (bytes: Buffer) => Promise<unknown>
    readonly parse: (data: unknown) => Promise<unknown>
  }
}

interface Definition {
  readonly versions: ReadonlyArray<string>
  readonly protocol: (of: { readonly version: number }) => (request: object) => Protocol
}

const commits = require("kafkajs/src/protocol/requests/txnOffsetCommit") as Definition
const fetches = require("kafkajs/src/protocol/requests/offsetFetch") as Definition
const Long = require("kafkajs/src/utils/long") as { fromValue(value: number): unknown }

const commitOf = (topics: ReadonlyArray<unknown>) => ({
  topics,
  groupId: "g",
  transactionalId: "t",
  producerId: Long.fromValue(1),
  producerEpoch: 2
})

const offsets = () => [{ topic: "r", partitions: [{ partition: 3, offset: "4", metadata: "m" }] }]

const rejection = (run: Promise<unknown>): Promise<unknown> =>
  run.then(() => assert.fail("it succeeded"), (error) => error)

/** The answer for one partition, with an error of its own and one of the whole. */
const fetchedOffset = (error: string, ofAll: string) =>
  Buffer.from(
    [
      "00",
      "00000000",
      "020272",
      "02",
      "00000003",
      "ffffffffffffffff",
      "ffffffff",
      "00",
      error,
      "00",
      "00",
      ofAll,
      "00"
    ]
      .join(""),
    "hex"
  )

describe("Fencing by the group", () => {
  it("changes nothing for who does not ask for it, whatever the broker knows", () => {
    for (const [definition, newest] of [[commits, 1], [fetches, 4]] as const) {
      for (const version of definition.versions.map(Number)) {
        const { apiVersion } = definition.protocol({ version })(commitOf(offsets())).request
        assert.strictEqual(apiVersion, Math.min(version, newest))
      }
    }
  })

  it("takes the versions that have it, and says so where a broker is too old for them", () => {
    const fenced = commitOf(fencedBy(offsets(), { memberId: "m", generationId: 5 }))
    const stable = { groupId: "g", topics: requireStable(offsets(), true) }
    for (const [definition, request, version] of [[commits, fenced, 3], [fetches, stable, 7]] as const) {
      const { apiVersion } = definition.protocol({ version })(request).request
      assert.strictEqual(apiVersion, version)
      try {
        definition.protocol({ version: version - 1 })(request)
      } catch (error) {
        const { reason } = kafkaError("commit", error)
        assert.deepInclude(reason, { _tag: "Refused", type: "UNSUPPORTED_VERSION" })
        assert.include(reason.detail, "the broker is too old")
        continue
      }
      assert.fail("it was downgraded")
    }
  })

  it("says who commits, in which generation", async () => {
    const generation = { memberId: "member", generationId: 5 }
    const { buffer } = await commits.protocol({ version: 3 })(commitOf(fencedBy(offsets(), generation))).request
      .encode()
    assert.strictEqual(
      buffer.toString("hex"),
      [
        "00", // no tags in the header
        "0274", // transactional id
        "0267", // group
        "0000000000000001", // producer
        "0002", // its epoch
        "00000005", // generation
        "076d656d626572", // member
        "00", // no static member
        "020272", // one topic
        "02", // one partition
        "00000003", // its number
        "0000000000000004", // its offset
        "ffffffff", // no leader epoch
        "026d", // its metadata
        "000000" // no tags of the partition, the topic, the request
      ].join("")
    )
  })

  it("reads answers with tags that nobody knows, and raises their errors", async () => {
    const { response } = commits.protocol({ version: 3 })(
      commitOf(fencedBy(offsets(), { memberId: "m", generationId: 5 }))
    )
    const tags = "010903aabbcc"
    const answer = (error: string) =>
      Buffer.from([tags, "00000000", "020272", "02", "00000003", error, tags, tags, tags].join(""), "hex")
    assert.deepStrictEqual(await response.decode(answer("0000")), {
      throttleTime: 0,
      clientSideThrottleTime: 0,
      topics: [{ topic: "r", partitions: [{ partition: 3, errorCode: 0 }] }]
    })
    await response.parse(await response.decode(answer("0000")))
    const stale = await rejection(response.decode(answer("0016")).then(response.parse))
    assert.strictEqual(kafkaError("commit", stale).reason._tag, "StaleGeneration")
    // Its transactions try these again by other names than its own table has.
    for (const [code, type] of [["000e", "COORDINATOR_LOAD_IN_PROGRESS"], ["0010", "NOT_COORDINATOR"]] as const) {
      assert.deepInclude(await rejection(response.decode(answer(code)).then(response.parse)), { type })
    }
  })

  it("leaves the errors of single partitions to who reads offsets", async () => {
    const { response } = fetches.protocol({ version: 7 })({ groupId: "g", topics: requireStable(offsets(), true) })
    const read = await response.decode(fetchedOffset("0058", "0000"))
    assert.deepInclude(read, {
      responses: [{ topic: "r", partitions: [{ partition: 3, offset: -1, metadata: "", errorCode: 88 }] }]
    })
    await response.parse(read)
    await rejection(response.decode(fetchedOffset("0000", "0010")).then(response.parse))
  })
})
