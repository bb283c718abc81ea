import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { supportedRegions } from "./SupportedRegions.ts"

/** A bearer token, or an e-mail address together with its key. */
const security: Array<OpenApi.OpenAPISecurityRequirement> = [{ api_token: [] }, { api_email: [], api_key: [] }]

const securitySchemes = {
  api_token: { type: "http", scheme: "bearer" },
  api_email: { type: "apiKey", in: "header", name: "X-Auth-Email" },
  api_key: { type: "apiKey", in: "header", name: "X-Auth-Key" }
}

/** What the generator has no word for: a text that is one of two formats. Everything else is refused with 1146. */
const ipSchema = {
  type: "string",
  anyOf: [{ format: "ipv4" }, { format: "ipv6" }],
  description: "An IPv4 or IPv6 address in any spelling",
  examples: ["192.0.2.1", "2001:DB8:0:0::1"]
}

/** A vendor and one of its own regions. */
const placements = Object.entries(supportedRegions.vendors).map(([vendor, regions]) => ({
  properties: { vendor: { const: vendor }, region: { enum: regions.map(({ name }) => name) } }
}))

const parameterSchemas: ReadonlyMap<string, object> = new Map<string, object>([
  ["zone_id", { ...Schema.toJsonSchemaDocument(ZoneId).schema, examples: ["023e105f4ecef8ad9ca31a8372d0c353"] }],
  ["origin_ip", ipSchema],
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

interface ObjectSchema {
  readonly properties: Readonly<Record<string, object>>
}

/** What a request says of a mapping: any spelling of an address, a vendor with one of its regions, and fields that nobody looks at. */
const completeDraft = (schema: ObjectSchema) => {
  const { ip, origin_ip } = schema.properties
  return {
    ...schema,
    properties: {
      ...schema.properties,
      ...(ip === undefined ? {} : { ip: ipSchema }),
      ...(origin_ip === undefined ? {} : { origin_ip: ipSchema })
    },
    anyOf: placements,
    additionalProperties: true
  }
}

interface DocumentParts {
  /** The name of the schema of what requests say of a mapping. */
  readonly draft: string
  /** The operation that writes one mapping, and where its answer has the address (a runtime expression). */
  readonly writer: { readonly path: string; readonly method: string; readonly originIp: string }
}

/** What can be done with a mapping that was just written. */
const linksTo = (originIp: string) =>
  Object.fromEntries(
    ["get", "delete"].map((operationId) => [
      operationId,
      { operationId, parameters: { zone_id: "$request.path.zone_id", origin_ip: originIp } }
    ])
  )

/** The same for the document as a whole. */
export const documentAnnotations = ({ draft, writer }: DocumentParts) =>
  OpenApi.annotations({
    override: { security },
    transform: (document) => {
      document["paths"][writer.path][writer.method].responses["200"].links = linksTo(writer.originIp)
      return {
        ...document,
        components: {
          securitySchemes,
          schemas: Object.fromEntries(
            Object.entries<ObjectSchema>(document["components"].schemas).map(([name, schema]) => [
              name,
              name === draft ? completeDraft(schema) : schema
            ])
          )
        }
      }
    }
  })
