import { Schema } from "effect"
import { OriginIp } from "./OriginIp.ts"
import { ZoneId } from "./ZoneId.ts"

/**
 * A mapping as the API holds it. `vendor` and `region` are open text here: the API may know clouds that this version does not.
 * `modified_on` is RFC 3339 in the API's clock, `null` where the API left it out.
 */
export const Mapping = Schema.Struct({
  zone_id: ZoneId,
  origin_ip: OriginIp,
  vendor: Schema.NonEmptyString,
  region: Schema.NonEmptyString,
  modified_on: Schema.NullOr(Schema.String)
}).annotate({ identifier: "Mapping" })

export type Mapping = typeof Mapping.Type
