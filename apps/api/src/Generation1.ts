import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Authentication } from "./Authentication.ts"
import { failureSchema, failureSchemas, successEnvelope } from "./Envelope.ts"
import { documentAnnotations, operationAnnotations } from "./OpenApiCompletion.ts"
import { SupportedRegions } from "./SupportedRegions.ts"

const Timestamp = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-11-24T09:30:00.000Z"] })

const Region = Schema.String.annotate({ description: "The cloud's own name of the region", examples: ["us-east-1"] })

/** A mapping on the wire: answers say `origin-ip`. */
export const Entry = Schema.Struct({
  "origin-ip": Schema.String.annotate({
    description: "The origin's address in canonical form (RFC 5952 for IPv6)",
    examples: ["192.0.2.1", "2001:db8::1"]
  }),
  vendor: Vendor,
  region: Region,
  modified_on: Timestamp
}).annotate({ identifier: "OriginCloudRegion" })

/** The zone setting that generation 1 wraps its results in. */
const zoneSetting = <Value extends Schema.Top, ModifiedOn extends Schema.Top>(value: Value, modifiedOn: ModifiedOn) =>
  Schema.Struct({
    id: Schema.Literal("origin_public_cloud_region"),
    editable: Schema.Boolean,
    modified_on: modifiedOn,
    value
  })

/** What a request to create or replace says: here it is `ip`. */
const Draft = Schema.Struct({
  ip: Schema.String.annotate({
    description: "An IPv4 or IPv6 address in any spelling",
    examples: ["192.0.2.1", "2001:DB8:0:0::1"]
  }),
  vendor: Vendor,
  region: Region
}).annotate({ identifier: "OriginCloudRegionDraft" })

/** The answer with one mapping. */
export const OneEntry = successEnvelope(zoneSetting(Entry, Timestamp))

/** The answer with every mapping of the zone. */
export const AllEntries = successEnvelope(
  zoneSetting(
    Schema.Array(Entry),
    Schema.NullOr(Timestamp).annotate({ description: "When the newest mapping was written; null where there is none" })
  )
)

/** The answer with what a mapping can name. */
export const Regions = successEnvelope(SupportedRegions)

const inZone = { zone_id: ZoneId }

const atAddress = {
  ...inZone,
  origin_ip: Schema.String.annotate({ description: "An IPv4 or IPv6 address in any spelling", examples: ["192.0.2.1"] })
}

const failures = (...names: ReadonlyArray<ApiErrorName>) => failureSchemas(...names, ...everywhere)

/** What any operation can answer. */
const everywhere = [
  "unknown_zone",
  "no_route",
  "missing_credential",
  "invalid_headers",
  "authentication_error",
  "internal_error"
] as const

/** A body beyond the limit is not read, so there is no address in it. */
const tooLarge = failureSchema(413, ["invalid_ip"])

export const base = "/client/v4/zones/:zone_id/cache/origin_cloud_regions"

class Mappings extends HttpApiGroup.make("mappings", { topLevel: true }).add(
  HttpApiEndpoint.get("list", "/", { params: inZone, success: AllEntries, error: failures() }).annotateMerge(
    OpenApi.annotations({ summary: "Every mapping of the zone, ordered by the text of the address" })
  ),
  HttpApiEndpoint.post("create", "/", {
    params: inZone,
    payload: Draft,
    success: OneEntry,
    error: [...failures("already_exists", "invalid_ip", "unsupported_region", "limit_reached"), tooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds a mapping for an address that has none" })),
  HttpApiEndpoint.patch("upsert", "/", {
    params: inZone,
    payload: Draft,
    success: AllEntries,
    error: [...failures("invalid_ip", "unsupported_region", "limit_reached"), tooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds or replaces a mapping; answers with all of the zone's" })),
  HttpApiEndpoint.get("supportedRegions", "/supported_regions", {
    params: inZone,
    success: Regions,
    error: failures()
  }).annotateMerge(OpenApi.annotations({ summary: "Every vendor with the regions that a mapping can name" })),
  HttpApiEndpoint.get("get", "/:origin_ip", {
    params: atAddress,
    success: OneEntry,
    error: failures("invalid_ip", "not_found")
  }).annotateMerge(OpenApi.annotations({ summary: "The mapping of an address" })),
  HttpApiEndpoint.delete("delete", "/:origin_ip", {
    params: atAddress,
    success: OneEntry,
    error: failures("invalid_ip", "nothing_to_delete")
  }).annotateMerge(OpenApi.annotations({ summary: "Removes the mapping of an address and answers with it" }))
).annotateEndpointsMerge(operationAnnotations).middleware(Authentication).prefix(base).annotateMerge(
  OpenApi.annotations({ title: "Origin cloud regions" })
) {}

/** Generation 1 of the API: what its routes take and answer. */
export class Generation1 extends HttpApi.make("generation1").add(Mappings)
  .annotateMerge(documentAnnotations(["OriginCloudRegionDraft"]))
  .annotateMerge(OpenApi.annotations({
    title: "Origin cloud regions, generation 1",
    version: "1.0.0",
    description:
      "Tells which cloud region hosts the origin at an IP address. Self-hosted, with Cloudflare's wire contract.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" }
  }))
{}
