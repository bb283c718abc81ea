import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { OUTCOME_NAMESPACE, outcomeId } from "./OutcomeId.ts"

/** RFC 9562 section 5.5, by hand: SHA-1 of namespace and name, with version and variant set. */
const uuidV5 = (name: string): string => {
  const hash = createHash("sha1")
    .update(Buffer.from(OUTCOME_NAMESPACE.replaceAll("-", ""), "hex"))
    .update(name, "utf8")
    .digest()
    .subarray(0, 16)
  hash.writeUInt8(hash.readUInt8(6) & 0x0f | 0x50, 6)
  hash.writeUInt8(hash.readUInt8(8) & 0x3f | 0x80, 8)
  return hash.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}

describe("outcomeId", () => {
  const record = { topic: "origin-regions.requests", partition: 3, offset: 41 }

  it.each([
    ["/deployments", "7f0c", "[\"origin-regions.requests\",3,41,\"/deployments\",\"7f0c\"]"],
    [null, null, "[\"origin-regions.requests\",3,41,null,null]"],
    ["/a", null, "[\"origin-regions.requests\",3,41,\"/a\",null]"],
    ["/é", "\"\u0001", "[\"origin-regions.requests\",3,41,\"/é\",\"\\\"\\u0001\"]"]
  ])("of source %j and id %j is the UUIDv5 of %s", (source, id, name) => {
    assert.strictEqual(outcomeId(record, source, id), uuidV5(name))
  })

  it("stays what it has always been", () => {
    assert.strictEqual(OUTCOME_NAMESPACE, "761a9acd-b382-44b7-b328-560ad13de763")
    assert.strictEqual(outcomeId(record, "/deployments", "7f0c"), "1a47c724-214d-54dc-9707-78ff17a8cac6")
    assert.strictEqual(outcomeId(record, null, null), "705340dc-ade9-5b58-b3df-8bca81753bd8")
  })

  it("differs with each of the five parts", () => {
    const ids = new Set([
      outcomeId(record, "/deployments", "7f0c"),
      outcomeId({ ...record, topic: "other" }, "/deployments", "7f0c"),
      outcomeId({ ...record, partition: 4 }, "/deployments", "7f0c"),
      outcomeId({ ...record, offset: 42 }, "/deployments", "7f0c"),
      outcomeId(record, "/other", "7f0c"),
      outcomeId(record, "/deployments", "7f0d"),
      outcomeId(record, "/deployments", null)
    ])
    assert.strictEqual(ids.size, 7)
  })
})
