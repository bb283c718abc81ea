import specifications from "@asyncapi/specs"
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import formats from "ajv-formats"
import { Option } from "effect"
import { asyncApi } from "./AsyncApi.ts"
import { readOutcome } from "./MappingOutcome.ts"
import { requestTypes } from "./Operation.ts"
import { readRequest } from "./RequestReader.ts"

const encoder = new TextEncoder()
const document = asyncApi()
const { messages } = document.components

/** AsyncAPI 3.0 documents, by their own JSON Schema; and the schemas of this one, to which its messages refer. */
const ajv = new Ajv({ allErrors: true, strict: false })
formats.default(ajv)
const isAsyncApi = ajv.compile(JSON.parse(JSON.stringify(specifications.schemasWithoutId["3.0.0"])))
ajv.addSchema({ $id: "https://origin-regions.invalid/asyncapi.json", ...document })

const validate = (pointer: string, value: unknown): ReadonlyArray<string> => {
  ajv.validate({ $ref: `https://origin-regions.invalid/asyncapi.json${pointer}` }, value)
  return (ajv.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

const examples = Object.entries(messages).flatMap(([name, message]) =>
  message.examples.map((example) => ({ message: name, ...example, shown: `${name} ${example.name}` }))
)
const requests = examples.filter(({ message }) => message.endsWith("Request"))
const outcomes = examples.filter(({ message }) => message.endsWith("Outcome"))

const record = ({ headers, payload }: (typeof examples)[number]) => ({
  value: encoder.encode(JSON.stringify(payload)),
  headers: Object.entries(headers).map(([name, text]) => ({ name, value: encoder.encode(text) }))
})

const resolve = (pointer: string): unknown =>
  pointer.split("/").slice(1).reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(key) : undefined,
    document
  )

describe("asyncApi", () => {
  it("is a valid AsyncAPI 3.0 document", () => {
    isAsyncApi(JSON.parse(JSON.stringify(document)))
    assert.deepStrictEqual(isAsyncApi.errors ?? [], [])
    assert.isFalse(isAsyncApi({ ...document, info: { title: "no version" } }))
    assert.isFalse(
      isAsyncApi({ ...document, operations: { x: { ...document.operations.sendOutcomes, action: "shout" } } })
    )
  })

  it("refers to nothing that it has not", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference = ""]) =>
      reference
    )
    assert.isAbove(references.length, 15)
    for (const reference of references) assert.isDefined(resolve(reference), reference)
  })

  it("has the three topics, each with its messages", () => {
    assert.deepStrictEqual(
      Object.values(document.channels).map(({ address, bindings, messages }) => [
        address,
        bindings.kafka.topic,
        Object.keys(messages)
      ]),
      [
        ["origin-regions.requests", "origin-regions.requests", ["CreateRequest", "UpsertRequest", "DeleteRequest"]],
        ["origin-regions.outcomes", "origin-regions.outcomes", [
          "SucceededOutcome",
          "RejectedOutcome",
          "FailedOutcome"
        ]],
        ["origin-regions.dead-letters", "origin-regions.dead-letters", ["DeadLetter"]]
      ]
    )
  })

  it("has examples for every message", () => {
    assert.deepStrictEqual([...new Set(examples.map(({ message }) => message))], Object.keys(messages))
  })

  it.each(requests)("has an example that is read as a request: $shown", (example) => {
    const { operation, verdict } = readRequest(record(example))
    assert.strictEqual(verdict._tag, "Apply")
    assert.strictEqual(
      operation === null ? undefined : requestTypes[operation],
      resolve(`/components/messages/${example.message}/name`)
    )
  })

  it.each(outcomes)("has an example that is read as an outcome: $shown", (example) => {
    const { headers, value } = record(example)
    assert.deepStrictEqual<unknown>(readOutcome(value), Option.some(example.payload))
    assert.include(headers.map(({ name }) => name), "ce_id")
  })

  it.each(examples)("has an example that its own schemas take: $shown", ({ headers, message, payload }) => {
    assert.deepStrictEqual(validate(`#/components/messages/${message}/payload`, payload), [])
    assert.deepStrictEqual(validate(`#/components/messages/${message}/headers`, headers), [])
  })

  it.each<readonly [string, object]>([
    ["/specversion", { specversion: "0.3" }],
    ["/id", { id: "" }],
    ["/source", { source: "x".repeat(1025) }],
    ["/type", { type: requestTypes.delete }],
    ["/time", { time: "now" }],
    ["/data/zone_id", { data: { zone_id: "a/b", ip: "192.0.2.1", vendor: "aws", region: "us-east-1" } }],
    ["/data/ip", { data: { zone_id: "z", ip: "origin.example.com", vendor: "aws", region: "us-east-1" } }],
    ["/data/vendor", { data: { zone_id: "z", ip: "192.0.2.1", vendor: "AWS", region: "us-east-1" } }],
    ["/data/region", { data: { zone_id: "z", ip: "192.0.2.1", vendor: "aws", region: "" } }]
  ])("lets a schema tell what is wrong with %s", (path, changes) => {
    const [create] = messages.CreateRequest.examples
    const problems = validate("#/components/schemas/CreateRequest", { ...create?.payload, ...changes })
    assert.isAbove(problems.length, 0)
    for (const problem of problems) assert.strictEqual(problem.split(" ")[0], path)
  })
})
