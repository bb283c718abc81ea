import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Schema } from "effect"
import { OpenApi } from "effect/http-api"

/** A bearer token, or an e-mail address together with its key. */
const security: Array<OpenApi.OpenAPISecurityRequirement> = [{ api_token: [] }, { api_email: [], api_key: [] }]

const securitySchemes = {
  api_token: { type: "http", scheme: "bearer" },
  api_email: { type: "apiKey", in: "header", name: "X-Auth-Email" },
  api_key: { type: "apiKey", in: "header", name: "X-Auth-Key" }
}

const parameterSchemas: ReadonlyMap<string, object> = new Map<string, object>([
  ["zone_id", { ...Schema.toJsonSchemaDocument(ZoneId).schema, examples: ["023e105f4ecef8ad9ca31a8372d0c353"] }],
  ["page", { type: "integer", minimum: 1, maximum: 1_000_000_000, default: 1 }],
  ["per_page", { type: "integer", minimum: 1, maximum: 100, default: 20 }]
])

/** Annotates operations with what the generator can't know: their credentials, and the checks of parameters, which it drops. */
export const operationAnnotations = OpenApi.annotations({
  override: { security },
  transform: (operation) => ({
    ...operation,
    parameters: operation["parameters"].map((parameter: OpenApi.OpenAPISpecParameter) => ({
      ...parameter,
      schema: parameterSchemas.get(parameter.name) ?? parameter.schema
    }))
  })
})

/** The same for the document as a whole; unknown fields of a request are ignored, so its schema allows them. */
export const documentAnnotations = (requestSchemas: ReadonlyArray<string>) =>
  OpenApi.annotations({
    override: { security },
    transform: (document) => ({
      ...document,
      components: {
        securitySchemes,
        schemas: Object.fromEntries(
          Object.entries<object>(document["components"].schemas).map(([name, schema]) => [
            name,
            requestSchemas.includes(name) ? { ...schema, additionalProperties: true } : schema
          ])
        )
      }
    })
  })
