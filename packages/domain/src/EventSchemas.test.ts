import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import formats from "ajv-formats"
import { outcomeSchema, requestSchema } from "./EventSchemas.ts"
import { requestExamples } from "./internal/EventExamples.ts"

const ajv = new Ajv({ allErrors: true, strict: false })
formats.default(ajv)

describe.each([["requests", requestSchema()], ["outcomes", outcomeSchema()]])("The JSON Schema of %s", (_, schema) => {
  const isValid = ajv.compile(JSON.parse(JSON.stringify(schema)))

  it("takes its examples, and no other events", () => {
    assert.isAtLeast(schema.examples.length, 3)
    for (const example of schema.examples) {
      isValid(JSON.parse(JSON.stringify(example)))
      assert.deepStrictEqual(isValid.errors ?? [], [])
      assert.isFalse(isValid({ ...example as object, type: "dev.origin-regions.mapping.move.v1" }))
      assert.isFalse(isValid({ ...example as object, specversion: "0.3" }))
      assert.isFalse(isValid({ ...example as object, data: undefined }))
    }
  })
})

describe("The JSON Schema of requests", () => {
  const isValid = ajv.compile(JSON.parse(JSON.stringify({ ...requestSchema(), $id: "urn:origin-regions:again" })))
  const { create } = requestExamples

  it("takes what the contract lets emitters add", () => {
    assert.isTrue(isValid({ ...create, note: "x", data: { ...create.data, note: "x" } }))
  })

  it.each([
    ["a host name", { ip: "origin.example.com" }],
    ["an unknown vendor", { vendor: "acme" }],
    ["an unusable zone", { zone_id: "a/b" }],
    ["an empty region", { region: "" }]
  ])("refuses %s", (_, changes) => {
    assert.isFalse(isValid({ ...create, data: { ...create.data, ...changes } }))
  })
})
