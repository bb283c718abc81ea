import { readCloudEvent } from "@origin-regions/domain/CloudEvent"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { OutgoingRecord, RecordHeader } from "@origin-regions/domain/SourceRecord"
import type { ScannedRecord } from "@origin-regions/kafka/KafkaScan"
import { Option } from "effect"
import { originalOf, REPLAY_HEADER, replayId, replayRecord } from "./ReplayRecord.ts"

/** Which requests are meant. */
export interface ReplayFilter {
  readonly topic: string
  /** `outcomecode`s; all where there is none. */
  readonly codes: ReadonlySet<string>
  readonly zone: string | undefined
}

/** Why a request that is meant is not sent again. */
export type Skipped = "expired" | "gone" | "replayed" | "superseded" | "truncated"

/** A request that is to be sent again, or why it is not. */
export interface Replay {
  readonly outcomeId: string
  readonly code: string
  readonly partition: number
  readonly offset: number
  /** What it asks for; `null` where that could not be read. */
  readonly address: string | null
  /** The id that the request gets, or would get. */
  readonly id: string
  readonly skipped: Skipped | undefined
  readonly record: OutgoingRecord | undefined
}

interface Candidate {
  readonly outcomeId: string
  readonly code: string
  readonly partition: number
  readonly offset: number
  readonly truncated: boolean
  original: OutgoingRecord | undefined
  replays: number
  superseded: boolean
}

type Seen = Pick<ScannedRecord, "headers" | "key" | "offset" | "value">

/** More than anybody can have meant; each is kept in memory. */
export const MOST_REPLAYS = 100_000

/**
 * Chooses requests by their outcomes or dead letters, then finds them in the requests topic, with what came after them there. Plain and synchronous: `outcome` or `letter` for every
 * record of the one topic, then `request` for every record of the other, each partition in its order.
 */
export class ReplaySelection {
  readonly #filter: ReplayFilter
  readonly #byOutcome = new Map<string, Candidate>()
  readonly #byPlace = new Map<string, Candidate>()
  /** Those that were found, by key, until another request of the same key comes. */
  readonly #byKey = new Map<string, Candidate>()
  /** How many more were meant than can be kept. */
  overflow = 0

  constructor(filter: ReplayFilter) {
    this.#filter = filter
  }

  outcome({ value }: Pick<Seen, "value">): void {
    const { codes, topic, zone } = this.#filter
    // Most outcomes are none of these, and reading one takes a hundred times as long as this.
    if (value === null || ![...codes].some((code) => value.includes(`"outcomecode":"${code}"`))) return
    const outcome = Option.getOrUndefined(readOutcome(value))
    if (outcome === undefined || !codes.has(outcome.outcomecode)) return
    const { id, outcomecode, subject } = outcome
    const { offset, partition, topic: of } = outcome.data.request
    if (of !== topic || (zone !== undefined && subject?.startsWith(`${zone}/`) !== true)) return
    this.#add({ outcomeId: id, code: outcomecode, partition, offset, truncated: false, original: undefined })
  }

  letter(letter: Seen): void {
    const { codes, topic, zone } = this.#filter
    const named = new Map(letter.headers.map(({ name, value }) => [name, value]))
    const text = (name: string) => textOf(named.get(`origin-regions-${name}`))
    const code = text("reason") ?? ""
    const outcomeId = text("outcome-id")
    if (text("topic") !== topic || outcomeId === undefined || (codes.size > 0 && !codes.has(code))) return
    const original = originalOf(copyOf(letter))
    if (zone !== undefined && readRequest(original).zoneId !== zone) return
    const [partition, offset] = [Number(text("partition")), Number(text("offset"))]
    if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return
    this.#add({ outcomeId, code, partition, offset, truncated: text("truncated") === "true", original })
  }

  /** The first offset to look at, of partitions that have requests which are meant. */
  get firstOffsets(): ReadonlyMap<number, number> {
    const first = new Map<number, number>()
    for (const { offset, partition } of this.#byPlace.values()) {
      first.set(partition, Math.min(offset, first.get(partition) ?? offset))
    }
    return first
  }

  get size(): number {
    return this.#byPlace.size
  }

  request(partition: number, record: Seen): void {
    const replayed = this.#byOutcome.get(
      textOf(record.headers.find(({ name }) => name === REPLAY_HEADER)?.value) ?? ""
    )
    if (replayed !== undefined) replayed.replays += 1
    const candidate = this.#byPlace.get(placeOf(partition, record.offset))
    if (candidate !== undefined) candidate.original ??= copyOf(record)
    if (record.key === null) return
    const key = record.key.toString("base64")
    const before = this.#byKey.get(key)
    if (before !== undefined) before.superseded = true
    if (candidate === undefined) this.#byKey.delete(key)
    else this.#byKey.set(key, candidate)
  }

  /** What is to be done, in the order of the requests. `now` is in milliseconds since 1970; `force` sends again also what was replayed or has later requests. */
  replays(now: number, force: boolean): ReadonlyArray<Replay> {
    return [...this.#byPlace.values()]
      .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
      .map((candidate) => {
        const { code, offset, original, outcomeId, partition, replays } = candidate
        const skipped = whySkipped(candidate, now, force)
        const read = original === undefined ? undefined : readRequest(original)
        return {
          outcomeId,
          code,
          partition,
          offset,
          address: read === undefined || (read.zoneId === null && read.originIp === null)
            ? null
            : `${read.zoneId ?? "?"}/${read.originIp ?? "?"}`,
          id: replayId(outcomeId, replays),
          skipped,
          record: original === undefined || skipped !== undefined
            ? undefined
            : replayRecord(original, outcomeId, replays)
        }
      })
  }

  #add(found: Omit<Candidate, "replays" | "superseded">): void {
    // With at-least-once there may be several of one request.
    if (this.#byOutcome.has(found.outcomeId)) return
    if (this.#byOutcome.size >= MOST_REPLAYS) {
      this.overflow += 1
      return
    }
    const candidate = { ...found, replays: 0, superseded: false }
    this.#byOutcome.set(found.outcomeId, candidate)
    this.#byPlace.set(placeOf(found.partition, found.offset), candidate)
  }
}

const whySkipped = (
  { original, replays, superseded, truncated }: Candidate,
  now: number,
  force: boolean
): Skipped | undefined => {
  if (original === undefined) return "gone"
  if (truncated) return "truncated"
  const { expiresAt } = readCloudEvent(original)
  if (expiresAt !== null && expiresAt <= now) return "expired"
  if (force) return undefined
  return replays > 0 ? "replayed" : superseded ? "superseded" : undefined
}

const placeOf = (partition: number, offset: number): string => `${partition}/${offset}`

const textOf = (value: Uint8Array | null | undefined): string | undefined =>
  value === null || value === undefined ? undefined : Buffer.from(value).toString("utf8")

/** Out of the answer that it came in, which goes. */
const copyOf = ({ headers, key, value }: Seen): OutgoingRecord => ({
  key: copyBytes(key),
  value: copyBytes(value),
  headers: headers.map(({ name, value }): RecordHeader => ({ name, value: copyBytes(value) }))
})

const copyBytes = (bytes: Uint8Array | null): Uint8Array | null => bytes === null ? null : new Uint8Array(bytes)
