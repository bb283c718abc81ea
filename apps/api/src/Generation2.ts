import { Vendor } from "@origin-regions/domain/Vendor"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { bodyTooLarge, operationFailures, successEnvelope } from "./Envelope.ts"
import { AnyIp, atAddress, CanonicalIp, GivenIp, inZone, Items, Refusal, Region, Timestamp } from "./MappingFields.ts"
import { documentAnnotations, operationAnnotations } from "./OpenApiCompletion.ts"
import { SupportedRegions } from "./SupportedRegions.ts"

/** A mapping on the wire. */
export const Entry = Schema.Struct({
  origin_ip: CanonicalIp,
  vendor: Vendor,
  region: Region,
  modified_on: Timestamp
}).annotate({ identifier: "OriginCloudRegion" })

/** What a request to create or replace says. */
const Draft = Schema.Struct({ origin_ip: AnyIp, vendor: Vendor, region: Region })
  .annotate({ identifier: "OriginCloudRegionDraft" })

/** The answer with one mapping. */
export const OneEntry = successEnvelope(Entry)

/** The answer with a page of the zone's mappings. */
export const EntryPage = Schema.Struct({
  ...successEnvelope(Schema.Array(Entry)).fields,
  result_info: Schema.Struct({
    page: Schema.Int,
    per_page: Schema.Int,
    count: Schema.Int.annotate({ description: "How many are on this page" }),
    total_count: Schema.Int.annotate({ description: "How many the zone has" }),
    total_pages: Schema.Int
  })
})

/** The answer to a delete. */
export const Deleted = successEnvelope(Schema.Struct({ origin_ip: CanonicalIp }))

/** The answer to a batch: what was done, and what was not. A delete gives what was deleted. */
export const BatchOutcome = successEnvelope(Schema.Struct({
  succeeded: Schema.Array(Schema.Struct({ origin_ip: CanonicalIp, vendor: Vendor, region: Region })),
  failed: Schema.Array(Schema.Struct({ origin_ip: GivenIp, error: Refusal }))
}))

/** The answer with what a mapping can name. */
export const Regions = successEnvelope(SupportedRegions)

export const base = "/client/v4/zones/:zone_id/origin/cloud_regions"

class Mappings extends HttpApiGroup.make("mappings", { topLevel: true }).add(
  HttpApiEndpoint.get("list", "/", {
    params: inZone,
    query: { page: Schema.optionalKey(Schema.String), per_page: Schema.optionalKey(Schema.String) },
    success: EntryPage,
    error: operationFailures("invalid_per_page")
  }).annotateMerge(
    OpenApi.annotations({ summary: "The mappings of the zone by the page, ordered by the text of the address" })
  ),
  HttpApiEndpoint.get("supportedRegions", "/supported_regions", {
    params: inZone,
    success: Regions,
    error: operationFailures()
  }).annotateMerge(OpenApi.annotations({ summary: "Every vendor with the regions that a mapping can name" })),
  HttpApiEndpoint.put("upsertMany", "/batch", {
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
  HttpApiEndpoint.put("upsert", "/:origin_ip", {
    params: atAddress,
    payload: Draft,
    success: OneEntry,
    error: [...operationFailures("invalid_ip", "ip_mismatch", "unsupported_region", "limit_reached"), bodyTooLarge]
  }).annotateMerge(OpenApi.annotations({ summary: "Adds or replaces the mapping of an address" })),
  HttpApiEndpoint.delete("delete", "/:origin_ip", {
    params: atAddress,
    success: Deleted,
    error: operationFailures("invalid_ip", "not_found")
  }).annotateMerge(OpenApi.annotations({ summary: "Removes the mapping of an address" }))
).annotateEndpointsMerge(operationAnnotations).prefix(base).annotateMerge(
  OpenApi.annotations({ title: "Origin cloud regions" })
) {}

/** Generation 2 of the API: what its routes take and answer. */
export class Generation2 extends HttpApi.make("generation2").add(Mappings)
  .annotateMerge(documentAnnotations({
    draft: "OriginCloudRegionDraft",
    writer: {
      path: "/client/v4/zones/{zone_id}/origin/cloud_regions/{origin_ip}",
      method: "put",
      originIp: "$response.body#/result/origin_ip"
    }
  }))
  .annotateMerge(OpenApi.annotations({
    title: "Origin cloud regions, generation 2",
    version: "2.0.0",
    description:
      "Tells which cloud region hosts the origin at an IP address. Self-hosted, with Cloudflare's wire contract.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" }
  }))
{}
