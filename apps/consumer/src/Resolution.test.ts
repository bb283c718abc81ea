import { assert, describe, it } from "@effect/vitest"
import { Mapping } from "@origin-regions/domain/Mapping"
import type { Operation } from "@origin-regions/domain/Operation"
import { requestTypes } from "@origin-regions/domain/Operation"
import { type Change, readRequest } from "@origin-regions/domain/RequestReader"
import { sourceRecord } from "./fixtures/ModelKafka.ts"
import { isAsAsked, resolve } from "./Resolution.ts"

const changeOf = (operation: Operation): Change => {
  const { verdict } = readRequest(sourceRecord(
    0,
    0,
    JSON.stringify({
      specversion: "1.0",
      id: "1",
      source: "/test",
      type: requestTypes[operation],
      data: { zone_id: "zone", ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }
    })
  ))
  return verdict._tag === "Apply" ? verdict.change : assert.fail("it can't be applied")
}

const mappingAt = (modified_on: string | null, region = "us-east-1"): Mapping =>
  Mapping.make({
    zone_id: "zone" as Mapping["zone_id"],
    origin_ip: "192.0.2.1" as Mapping["origin_ip"],
    vendor: "aws",
    region,
    modified_on
  })

const SINCE = Date.UTC(2026, 10, 24, 10, 0, 0, 500)

const OTHER = "us-west-2"

/** When the mapping was changed, and whether an attempt since 10:00:00.500 can have done it. */
const times: ReadonlyArray<readonly [string, boolean]> = [
  ["2026-11-24T09:59:59Z", false],
  ["2026-11-24T10:00:00Z", true],
  ["2026-11-24T10:00:01Z", true],
  ["2026-11-24T10:00:00.000Z", false],
  ["2026-11-24T10:00:00.499Z", false],
  ["2026-11-24T10:00:00.4999Z", false],
  ["2026-11-24T10:00:00.500Z", true],
  ["2026-11-24T10:00:00.500001Z", true],
  ["2026-11-24T11:00:00+01:00", true],
  ["2026-11-24T10:00:00+01:00", false]
]

describe("What was in doubt", () => {
  it.each(times)("is a create's work by a mapping of %s: %s", (modifiedOn, isOurs) => {
    for (const region of ["us-east-1", OTHER]) {
      const found = mappingAt(modifiedOn, region)
      assert.deepStrictEqual(
        resolve(changeOf("create"), found, SINCE),
        isOurs ? { _tag: "Succeeded", result: "created", mapping: found, recovered: true } : undefined
      )
    }
  })

  it.each(times)("is an upsert's work by a mapping of %s that is as it was asked for: %s", (modifiedOn, isOurs) => {
    const found = mappingAt(modifiedOn)
    assert.deepStrictEqual(
      resolve(changeOf("upsert"), found, SINCE),
      isOurs ? { _tag: "Succeeded", result: "upserted", mapping: found, recovered: true } : undefined
    )
    assert.isUndefined(resolve(changeOf("upsert"), mappingAt(modifiedOn, OTHER), SINCE))
  })

  it("is told by what the mapping says where it has no time, or one that is none", () => {
    for (const modifiedOn of [null, "yesterday"]) {
      for (const operation of ["create", "upsert"] as const) {
        assert.isDefined(resolve(changeOf(operation), mappingAt(modifiedOn), SINCE))
        assert.isUndefined(resolve(changeOf(operation), mappingAt(modifiedOn, OTHER), SINCE))
      }
    }
  })

  it("has not been applied where there is no mapping, but for a delete", () => {
    for (const operation of ["create", "upsert"] as const) assert.isUndefined(resolve(changeOf(operation), null, SINCE))
    assert.deepStrictEqual(resolve(changeOf("delete"), null, SINCE), {
      _tag: "Succeeded",
      result: "deleted",
      mapping: null,
      recovered: true
    })
    for (const [modifiedOn] of times) assert.isUndefined(resolve(changeOf("delete"), mappingAt(modifiedOn), SINCE))
  })

  it("is as asked for by vendor and region, which a delete never is", () => {
    assert.isTrue(isAsAsked(changeOf("create"), mappingAt(null)))
    assert.isFalse(isAsAsked(changeOf("create"), mappingAt(null, OTHER)))
    assert.isFalse(isAsAsked(changeOf("upsert"), { ...mappingAt(null), vendor: "gcp" }))
    assert.isFalse(isAsAsked(changeOf("delete"), mappingAt(null)))
  })
})
