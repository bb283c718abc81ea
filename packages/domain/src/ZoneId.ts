import { Schema } from "effect"

/** A Cloudflare zone's identifier: 1 to 32 characters of `A-Z a-z 0-9 _ -`. */
export const ZoneId = Schema.String.annotate({ description: "The zone's identifier" }).check(
  // Only a pattern with the u flag gets into the JSON Schema.
  Schema.isPattern(/^[A-Za-z0-9_-]{1,32}$/u, {
    message: "must be 1 to 32 characters of A-Z a-z 0-9 _ -"
  })
).pipe(Schema.brand("ZoneId"))

export type ZoneId = typeof ZoneId.Type
