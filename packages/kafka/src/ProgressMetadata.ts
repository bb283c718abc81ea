import { crc32 } from "node:zlib"
import { decodeRuns, type DoneRun, encodeRuns } from "./DoneRuns.ts"
import { pushVarint, readVarints } from "./internal/Varints.ts"
import type { CommittedOffset } from "./KafkaAdmin.ts"
import { coarser, decodeReservation, encodeReservation, type Reservation } from "./Reservation.ts"

/** What a commit's metadata says beyond its offset: whose the partition is, which requests may have been sent, and which further ones are done. */
export interface ProgressMetadata {
  /** The transactional id of the owner, whose transaction may be pending on the partition; empty where it makes none. */
  readonly owner: string
  readonly reservation: Reservation
  /** For how long beyond the reservation's `since` the owner may have changed addresses of the partition without knowing when, in milliseconds. */
  readonly untimed: number
  readonly done: ReadonlyArray<DoneRun>
}

/** Kafka refuses more than 4,096 characters (`offset.metadata.max.bytes` counts characters). */
const MAX_LENGTH = 4_096

/*
 * Version "." the offset that it was made for "." CRC-32 of the rest "." untimed (a varint), reservation and done runs in base64url "." owner.
 */

const VERSION = "2"
const METADATA = /^2\.(\d{1,16})\.([0-9a-f]{1,8})\.([A-Za-z0-9_-]+)\.(.*)$/s

/** Within Kafka's limit; where a time for each request that was sent is too much, they share one. */
export const encodeMetadata = (offset: number, metadata: ProgressMetadata): string => {
  const exact = write(offset, metadata)
  if (exact.length <= MAX_LENGTH || metadata.reservation.attempted.size === 0) return exact
  return write(offset, { ...metadata, reservation: coarser(metadata.reservation) })
}

const write = (offset: number, { done, owner, reservation, untimed }: ProgressMetadata): string => {
  const bytes: Array<number> = []
  pushVarint(bytes, untimed)
  const payload = Buffer.from([...bytes, ...encodeReservation(offset, reservation), ...encodeRuns(offset, done)])
    .toString("base64url")
  return `${VERSION}.${offset}.${checksum(offset, payload, owner)}.${payload}.${owner}`
}

const checksum = (offset: number, payload: string, owner: string): string =>
  crc32(`${VERSION}.${offset}.${payload}.${owner}`).toString(16)

/** `undefined` where the metadata is not ours, is damaged, or was made for another offset. */
export const decodeMetadata = ({ metadata, offset }: CommittedOffset): ProgressMetadata | undefined => {
  const match = METADATA.exec(metadata)
  if (match === null) return undefined
  const [, madeFor, sum, payload = "", owner = ""] = match
  if (Number(madeFor) !== offset || checksum(offset, payload, owner) !== sum) return undefined
  const { rest, values: [untimed] } = readVarints(Buffer.from(payload, "base64url"), 1) ?? { values: [] }
  const reserved = rest === undefined ? undefined : decodeReservation(offset, rest)
  const done = reserved === undefined ? undefined : decodeRuns(offset, [...reserved.rest])
  return untimed === undefined || reserved === undefined || done === undefined
    ? undefined
    : { owner, reservation: reserved.reservation, untimed, done }
}

/** Whose transaction may be pending on a partition with such a commit. */
export const ownerOf = (metadata: string): string | undefined => METADATA.exec(metadata)?.[4] || undefined
