import { JsonSchema, Schema } from "effect"
import { STRUCTURED_CONTENT_TYPE } from "./CloudEvent.ts"
import { deadLetter, deadLetterHeaders } from "./DeadLetter.ts"
import { type OutcomeExample, outcomeExamples, requestExamples } from "./internal/EventExamples.ts"
import { field, isJsonObject } from "./internal/JsonObject.ts"
import { MappingOutcome, mirroredHeader, outcomeRecord, outcomeTypes } from "./MappingOutcome.ts"
import { MappingRequest, requestRecord } from "./MappingRequest.ts"
import { requestTypes } from "./Operation.ts"
import type { WritableRecord } from "./SourceRecord.ts"
import { topicNames } from "./TopicNames.ts"

/**
 * The event contract as an AsyncAPI 3.0 document, with the topics' default names. Its payloads are the schemas that events are read and written by; its
 * examples come out of the code that makes the real events.
 * Source: AsyncAPI 3.0.0, Kafka bindings 0.5.0.
 */
export const asyncApi = () => ({
  asyncapi: "3.0.0",
  info: {
    title: "origin-regions",
    version: "1.0.0",
    description: "Ask for origin cloud region mappings by event, and be told by event what became of each request. "
      + "All events are CloudEvents 1.0 in the Kafka protocol binding. A change of the contract is a new event type, never an edit.",
    license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" }
  },
  defaultContentType: STRUCTURED_CONTENT_TYPE,
  channels: {
    requests: channel(topicNames.requests, requestMessages, {
      title: "Mapping requests",
      description:
        "Written by anybody. Read in three content modes: structured, as in the examples; binary, with ce_* headers; "
        + "and a CloudEvents envelope as the value with no content-type header."
    }),
    outcomes: channel(topicNames.outcomes, outcomeMessages, {
      title: "Outcomes",
      description: "One for every record of the requests topic. Those of one address come in the order of its requests."
    }),
    deadLetters: channel(topicNames.deadLetters, deadLetterMessages, {
      title: "Dead letters",
      description: "Request records that could not be read or were given up, byte for byte. Each has an outcome too."
    })
  },
  operations: {
    receiveRequests: {
      action: "receive",
      channel: { $ref: "#/channels/requests" },
      summary: "Applies requests to the API, those of one address in the order of their partition."
    },
    sendOutcomes: {
      action: "send",
      channel: { $ref: "#/channels/outcomes" },
      summary: "Tells what became of each request."
    },
    sendDeadLetters: {
      action: "send",
      channel: { $ref: "#/channels/deadLetters" },
      summary: "Keeps what could not be read or was given up, so that it can be replayed."
    }
  },
  components: {
    messages: { ...requestMessages, ...outcomeMessages, ...deadLetterMessages },
    schemas
  }
})

const channel = (
  topic: string,
  messages: Readonly<Record<string, unknown>>,
  about: { readonly title: string; readonly description: string }
) => ({
  address: topic,
  ...about,
  messages: Object.fromEntries(Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }])),
  bindings: { kafka: { topic, bindingVersion: BINDING_VERSION } }
})

const BINDING_VERSION = "0.5.0"

const payloads = Schema.toJsonSchemaDocument(Schema.Union([MappingRequest, MappingOutcome]))

/** The schemas of the payloads, by their identifiers. AsyncAPI's own schema format is a superset of JSON Schema draft 07. */
const schemas: Readonly<Record<string, unknown>> = JSON.parse(
  JSON.stringify(JsonSchema.toDocumentDraft07(payloads).definitions)
    .replaceAll("\"$ref\":\"#/definitions/", "\"$ref\":\"#/components/schemas/")
)

/** What all messages have; `example` is a record as it is on its topic. */
const message = (about: {
  readonly name: string
  readonly title: string
  readonly summary: string
  readonly key: string
  readonly headers: { readonly properties: Readonly<Record<string, unknown>>; readonly required: ReadonlyArray<string> }
}) => ({
  name: about.name,
  title: about.title,
  summary: about.summary,
  headers: { type: "object", ...about.headers },
  bindings: { kafka: { key: { type: "string", description: about.key }, bindingVersion: BINDING_VERSION } }
})

const decoder = new TextDecoder()

const headerTexts = (record: WritableRecord) =>
  Object.fromEntries(record.headers.map(({ name, value }) => [
    name,
    typeof value === "string" ? value : decoder.decode(value ?? undefined)
  ]))

const contentTypeHeader = { type: "string", const: STRUCTURED_CONTENT_TYPE }

const requestMessage = (
  title: "CreateRequest" | "UpsertRequest" | "DeleteRequest",
  operation: "create" | "upsert" | "delete",
  summary: string
) => {
  const request = requestExamples[operation]
  return {
    ...message({
      name: requestTypes[operation],
      title,
      summary,
      key: "{zone_id}/{canonical ip} is recommended; any key is accepted.",
      headers: { properties: { "content-type": contentTypeHeader }, required: ["content-type"] }
    }),
    contentType: STRUCTURED_CONTENT_TYPE,
    correlationId: { location: "$message.payload#/id" },
    payload: { $ref: `#/components/schemas/${title}` },
    examples: [{ name: operation, headers: headerTexts(requestRecord(request)), payload: request }]
  }
}

const requestMessages = {
  CreateRequest: requestMessage(
    "CreateRequest",
    "create",
    "Asks for a mapping where the address has none; with one there, the outcome is rejected with 1145."
  ),
  UpsertRequest: requestMessage("UpsertRequest", "upsert", "Asks for a mapping, whether the address has one or not."),
  DeleteRequest: requestMessage("DeleteRequest", "delete", "Asks for the address to have no mapping.")
}

const outcomeMessage = (
  title: "SucceededOutcome" | "RejectedOutcome" | "FailedOutcome",
  type: string,
  summary: string,
  examples: ReadonlyArray<OutcomeExample>
) => ({
  ...message({
    name: type,
    title,
    summary,
    key: "{zone_id}/{canonical ip} where both are known, else the request's own key, else none.",
    headers: mirroredHeaders(schemas[title])
  }),
  contentType: STRUCTURED_CONTENT_TYPE,
  correlationId: { location: "$message.payload#/causationid" },
  payload: { $ref: `#/components/schemas/${title}` },
  examples: examples.map(({ outcome, record }) => ({
    name: outcome.outcomecode,
    headers: headerTexts(outcomeRecord(outcome, record.key)),
    payload: outcome
  }))
})

/** The headers of an outcome: its attributes once more, as its schema has them. */
const mirroredHeaders = (schema: unknown) => {
  const attributes = field(schema, "properties")
  const required = field(schema, "required")
  const properties: Record<string, unknown> = { "content-type": contentTypeHeader }
  const names = ["content-type"]
  for (const [attribute, attributeSchema] of Object.entries(isJsonObject(attributes) ? attributes : {})) {
    const name = mirroredHeader(attribute)
    if (name === undefined) continue
    properties[name] = attributeSchema
    if (Array.isArray(required) && required.includes(attribute)) names.push(name)
  }
  return { properties, required: names }
}

const outcomeMessages = {
  SucceededOutcome: outcomeMessage("SucceededOutcome", outcomeTypes.succeeded, "It was applied.", [
    outcomeExamples.created,
    outcomeExamples.upserted,
    outcomeExamples.deleted
  ]),
  RejectedOutcome: outcomeMessage(
    "RejectedOutcome",
    outcomeTypes.rejected,
    "The API, or the same rule applied before calling it, says no for good.",
    [outcomeExamples.alreadyExists, outcomeExamples.malformed]
  ),
  FailedOutcome: outcomeMessage(
    "FailedOutcome",
    outcomeTypes.failed,
    "Given up, and dead-lettered so that it can be replayed.",
    [outcomeExamples.gaveUp]
  )
}

const deadLetterExample = ({ outcome, record }: OutcomeExample) => ({
  name: outcome.outcomecode,
  headers: headerTexts(deadLetter(record, { id: outcome.id, code: outcome.outcomecode }, 1_000_000)),
  payload: decoder.decode(record.value ?? undefined)
})

const deadLetterMessages = {
  DeadLetter: {
    ...message({
      name: "origin-regions.dead-letter",
      title: "DeadLetter",
      summary: "A request record as it was; headers in front of its own say where it came from and why.",
      key: "The record's own key, byte for byte.",
      headers: {
        properties: Object.fromEntries(
          Object.entries(deadLetterHeaders).map(([name, description]) => [name, { type: "string", description }])
        ),
        required: Object.keys(deadLetterHeaders).filter((name) => name !== "origin-regions-truncated")
      }
    }),
    contentType: "application/octet-stream",
    payload: { description: "The record's own value, byte for byte." },
    examples: [deadLetterExample(outcomeExamples.malformed), deadLetterExample(outcomeExamples.gaveUp)]
  }
}
