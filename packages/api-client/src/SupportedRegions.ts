import { Result, Schema } from "effect"

const Region = Schema.Struct({ name: Schema.String, upper_tier_colos: Schema.Array(Schema.String) })

/**
 * The regions that the API accepts, by vendor. With `obtained_codes: false` the API could not look up the data centres, and
 * `upper_tier_colos` are empty or incomplete; the names still stand.
 */
export const SupportedRegions = Schema.Struct({
  obtained_codes: Schema.Boolean,
  vendors: Schema.Record(Schema.String, Schema.Array(Region))
})

export type SupportedRegions = typeof SupportedRegions.Type

const decode = Schema.decodeUnknownResult(SupportedRegions)

/** What an answer says, in either generation; `undefined` where it is something else. */
export const readSupportedRegions = (result: unknown): SupportedRegions | undefined =>
  Result.getOrUndefined(decode(result))
