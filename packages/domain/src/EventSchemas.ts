import { JsonSchema, Schema } from "effect"
import { outcomeExamples, requestExamples } from "./internal/EventExamples.ts"
import { MappingOutcome } from "./MappingOutcome.ts"
import { MappingRequest } from "./MappingRequest.ts"

const DRAFT_07 = "http://json-schema.org/draft-07/schema#"

const jsonSchema = (
  about: { readonly $id: string; readonly title: string; readonly description: string },
  schema: Schema.Constraint,
  examples: ReadonlyArray<unknown>
) => {
  const document = JsonSchema.toDocumentDraft07(Schema.toJsonSchemaDocument(schema))
  return { $schema: DRAFT_07, ...about, ...document.schema, definitions: document.definitions, examples }
}

/** A request's event as a JSON Schema (draft 07, which every generator of code reads), for emitters in other languages. */
export const requestSchema = () =>
  jsonSchema(
    {
      $id: "urn:origin-regions:mapping-request:v1",
      title: "MappingRequest",
      description:
        "A mapping request: a CloudEvent 1.0 in structured mode. What is not named here is allowed and ignored."
    },
    MappingRequest,
    Object.values(requestExamples)
  )

/** An outcome's event, in the same way. */
export const outcomeSchema = () =>
  jsonSchema(
    {
      $id: "urn:origin-regions:mapping-outcome:v1",
      title: "MappingOutcome",
      description: "What became of one mapping request: a CloudEvent 1.0 in structured mode."
    },
    MappingOutcome,
    Object.values(outcomeExamples).map(({ outcome }) => outcome)
  )
