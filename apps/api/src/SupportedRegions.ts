import { isVendor, type Vendor } from "@origin-regions/domain/Vendor"
import { Schema } from "effect"
import regionNames from "./SupportedRegions.json" with { type: "json" }

/**
 * Every region that a mapping can name, by vendor, in the API's shape. `upper_tier_colos` are the data centres that cache for a region;
 * with `obtained_codes: false` they are incomplete, as the API's reference says of the case in which it could not look them up.
 */
export const SupportedRegions = Schema.Struct({
  obtained_codes: Schema.Boolean,
  vendors: Schema.Record(
    Schema.String,
    Schema.Array(Schema.Struct({ name: Schema.String, upper_tier_colos: Schema.Array(Schema.String) }))
  )
}).annotate({ identifier: "SupportedRegions" })

export type SupportedRegions = typeof SupportedRegions.Type

// The only data centres that the API's reference names.
const publishedColos: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["aws/us-east-1", ["IAD", "EWR"]],
  ["aws/us-west-2", ["SEA"]],
  ["gcp/us-central1", ["ORD"]]
])

/**
 * The regions this API accepts. The names come from each cloud's own public list (botocore, Azure's locations, Google's gcping, Oracle's
 * realm OC1), because Cloudflare's list is not published.
 */
export const supportedRegions: SupportedRegions = {
  obtained_codes: false,
  vendors: Object.fromEntries(
    Object.entries(regionNames).map(([vendor, names]) => [
      vendor,
      names.map((name) => ({ name, upper_tier_colos: publishedColos.get(`${vendor}/${name}`) ?? [] }))
    ])
  )
}

const regionsOf: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(regionNames).map(([vendor, names]) => [vendor, new Set(names)])
)

/** A cloud and one of its regions, known to exist. */
export interface Placement {
  readonly vendor: Vendor
  readonly region: string
}

/** The placement that a request names, or `undefined` where the vendor, or the region for that vendor, is none of ours. */
export const placementOf = (vendor: unknown, region: unknown): Placement | undefined =>
  isVendor(vendor) && typeof region === "string" && regionsOf.get(vendor)?.has(region) === true
    ? { vendor, region }
    : undefined
