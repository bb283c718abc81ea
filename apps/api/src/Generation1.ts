import { Vendor } from "@origin-regions/domain/Vendor"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { bodyTooLarge, operationFailures, successEnvelope } from "./Envelope.ts"
import { AnyIp, atAddress, CanonicalIp, GivenIp, inZone, Items, Refusal, Region, Timestamp } from "./MappingFields.ts"
import { documentAnnotations, operationAnnotations } from "./OpenApiCompletion.ts"
import { SupportedRegions } from "./SupportedRegions.ts"

/** A mapping on the wire: answers say `origin-ip`. */
export const Entry = Schema.Struct({
  "origin-ip": CanonicalIp,
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
  ip: AnyIp,
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

/** The answer to a batch: what was done, and what was not. */
export const BatchOutcome = successEnvelope(
  zoneSetting(
    Schema.Struct({
      succeeded: Schema.Array(Schema.Struct({ "origin-ip": CanonicalIp, vendor: Vendor, region: Region })),
      failed: Schema.Array(Schema.Struct({ "origin-ip": GivenIp, error: Refusal }))
    }),
    Schema.NullOr(Timestamp).annotate({ description: "When the newest of the done was written; null where none was" })
  )
)

/** The answer with what a mapping can name. */
export const Regions = successEnvelope(SupportedRegions)

export const base = "/client/v4/zones/:zone_id/cache/origin_cloud_regions"

class Mappings extends HttpApiGroup.make("mappings", { topLevel: true }).add(
  HttpApiEndpoint.get("list", "/", { params: inZone, success: AllEntries, error: operationFailures() }).annotateMerge(
    OpenApi.annotations({ summary: "Every mapping of the zone, ordered by the text of the address" })
  ),
  HttpApiEndpoint.post("create", "/", {
    params: inZone,
    payload: Draft,
    success: OneEntry,
    error: [...operationFailures("already_exists", "invalid_ip", "unsupported_region", "limit_reached"), bodyTooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds a mapping for an address that has none" })),
  HttpApiEndpoint.patch("upsert", "/", {
    params: inZone,
    payload: Draft,
    success: AllEntries,
    error: [...operationFailures("invalid_ip", "unsupported_region", "limit_reached"), bodyTooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds or replaces a mapping; answers with all of the zone's" })),
  HttpApiEndpoint.get("supportedRegions", "/supported_regions", {
    params: inZone,
    success: Regions,
    error: operationFailures()
  }).annotateMerge(OpenApi.annotations({ summary: "Every vendor with the regions that a mapping can name" })),
  HttpApiEndpoint.patch("upsertMany", "/batch", {
    params: inZone,
    payload: Items(Draft),
    success: BatchOutcome,
    error: [...operationFailures("invalid_ip", "limit_reached"), bodyTooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds or replaces up to 100 mappings" })),
  HttpApiEndpoint.delete("deleteMany", "/batch", {
    params: inZone,
    payload: Items(AnyIp),
    success: BatchOutcome,
    error: [...operationFailures("invalid_ip"), bodyTooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Removes up to 100 mappings" })),
  HttpApiEndpoint.get("get", "/:origin_ip", {
    params: atAddress,
    success: OneEntry,
    error: operationFailures("invalid_ip", "not_found")
  }).annotateMerge(OpenApi.annotations({ summary: "The mapping of an address" })),
  HttpApiEndpoint.delete("delete", "/:origin_ip", {
    params: atAddress,
    success: OneEntry,
    error: operationFailures("invalid_ip", "nothing_to_delete")
  }).annotateMerge(OpenApi.annotations({ summary: "Removes the mapping of an address and answers with it" }))
).annotateEndpointsMerge(operationAnnotations).prefix(base).annotateMerge(
  OpenApi.annotations({ title: "Origin cloud regions" })
) {}

/** Generation 1 of the API: what its routes take and answer. */
export class Generation1 extends HttpApi.make("generation1").add(Mappings)
  .annotateMerge(documentAnnotations({
    draft: "OriginCloudRegionDraft",
    writer: {
      path: "/client/v4/zones/{zone_id}/cache/origin_cloud_regions",
      method: "post",
      originIp: "$response.body#/result/value/origin-ip"
    }
  }))
  .annotateMerge(OpenApi.annotations({
    title: "Origin cloud regions, generation 1",
    version: "1.0.0",
    description:
      "Tells which cloud region hosts the origin at an IP address. Self-hosted, with Cloudflare's wire contract.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" }
  }))
{}
