import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Schema } from "effect"
import { BATCH_LIMIT } from "./OriginRegions.ts"

/** The fields of a mapping that have the same form in every generation. */
export const Timestamp = Schema.String.annotate({
  description: "RFC 3339, UTC",
  examples: ["2026-11-24T09:30:00.000Z"]
})

export const Region = Schema.String.annotate({
  description: "The cloud's own name of the region",
  examples: ["us-east-1"]
})

/** An address in an answer. */
export const CanonicalIp = Schema.String.annotate({
  description: "The origin's address in canonical form (RFC 5952 for IPv6)",
  examples: ["192.0.2.1", "2001:db8::1"]
})

/** An address in a request. */
export const AnyIp = Schema.String.annotate({
  description: "An IPv4 or IPv6 address in any spelling",
  examples: ["192.0.2.1", "2001:DB8:0:0::1"]
})

/** An address that a batch could not do anything with, as it was given. */
export const GivenIp = Schema.String.annotate({ description: "The address as the request gave it" })

export const Refusal = Schema.String.annotate({
  description: "Why nothing was done, in the words of the single operation"
})

/** The path's parameters of everything that concerns a zone. */
export const inZone = { zone_id: ZoneId }

/** The path's parameters of everything that concerns one address. */
export const atAddress = { ...inZone, origin_ip: AnyIp }

/** What a batch may hold. */
export const Items = <A extends Schema.Top>(item: A) =>
  Schema.Array(item).check(Schema.isMinLength(1), Schema.isMaxLength(BATCH_LIMIT))
