import { assert, describe, it } from "@effect/vitest"
import { type MappingOutcome, mappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { outcomeReference, referenceIn } from "./OutcomeReference.ts"

const outcomeOf = (event: Readonly<Record<string, unknown>>, groupId = "group"): MappingOutcome =>
  mappingOutcome({
    groupId,
    record: { topic: "requests", partition: 3, offset: 2 ** 40, timestamp: 0 },
    request: readRequest({ value: new TextEncoder().encode(JSON.stringify(event)), headers: [] }),
    settlement: { _tag: "Succeeded", result: "deleted", mapping: null, recovered: false },
    attempts: 1,
    settledAt: 0
  })

const event = { specversion: "1.0", id: "id", source: "/source", type: "dev.origin-regions.mapping.delete.v1" }
const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value))
const referenceOf = ({ data: { request }, id, source }: MappingOutcome) => ({ id, source, request })

/** Texts that look like what is looked for. */
const hostile = [
  "\",\"source\":\"/other",
  "{\"data\":{\"request\":{\"topic\":\"other\"}}}",
  ",\"data\":{\"request\":{",
  "},\"operation\":",
  "\\",
  "ü\u2028\u0000\"",
  "{"
]

describe("The reference of an outcome", () => {
  it("is read without all of the outcome, where it is laid out as the consumer writes it", () => {
    for (
      const outcome of [
        outcomeOf(event),
        outcomeOf({}),
        outcomeOf({ ...event, id: "\"quoted\"", subject: "s" })
      ]
    ) {
      const { request, ...envelope } = referenceIn(JSON.stringify(outcome)) ?? assert.fail("not read")
      assert.deepStrictEqual({ ...envelope, request }, referenceOf(outcome))
    }
  })

  it("is the outcome's own, whatever its texts hold", () => {
    for (const text of hostile) {
      for (const name of ["id", "source", "correlationid", "traceparent", "type"]) {
        const outcome = outcomeOf({ ...event, [name]: text })
        assert.deepStrictEqual<unknown>(outcomeReference(bytes(outcome)), referenceOf(outcome), `${name}: ${text}`)
      }
      const outcome = outcomeOf(event, text)
      assert.deepStrictEqual<unknown>(outcomeReference(bytes(outcome)), referenceOf(outcome), text)
    }
  })

  it("is the one that counts as JSON, in whatever layout", () => {
    const outcome = outcomeOf(event)
    const other = { ...outcome.data, request: { ...outcome.data.request, offset: 7 } }
    const written = JSON.stringify(outcome)
    const doubled = `${written.slice(0, -1)},"data" : ${JSON.stringify(other)}}`
    assert.strictEqual(outcomeReference(bytes(doubled))?.request.offset, 7)
    assert.isUndefined(outcomeReference(bytes(`${written.slice(0, -1)},"data":null}`)))
    const doubledInside = written.replace(",\"attempts\"", `,"request":${JSON.stringify(other.request)},"attempts"`)
    assert.strictEqual(outcomeReference(bytes(doubledInside))?.request.offset, 7)
    const nested = written.replace(",\"data\":", `,"deeper":{"data":${JSON.stringify(other)}},"data":`)
    assert.strictEqual(outcomeReference(bytes(nested))?.request.offset, 2 ** 40)
    const { id, specversion, ...rest } = outcome
    for (const reordered of [{ ...rest, id, specversion }, JSON.stringify(outcome, null, 2)]) {
      assert.deepStrictEqual<unknown>(outcomeReference(bytes(reordered)), referenceOf(outcome))
    }
  })

  it("is none where there is no outcome", () => {
    for (const value of ["", "{}", "null", JSON.stringify(event), JSON.stringify(outcomeOf(event)).slice(0, -90)]) {
      assert.isUndefined(outcomeReference(bytes(value.replace("\"operation\"", "\"operatio\""))), value)
    }
  })
})
