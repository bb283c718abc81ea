import type { OriginIp } from "./OriginIp.ts"
import type { ZoneId } from "./ZoneId.ts"

/** `{zone_id}/{canonical ip}`: what requests are ordered by, and the Kafka key and CloudEvents subject of their outcomes. */
export type MappingKey = `${string}/${string}`

export const mappingKey = (zoneId: ZoneId, originIp: OriginIp): MappingKey => `${zoneId}/${originIp}`
