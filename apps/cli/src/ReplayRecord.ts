import { contentMode, readCloudEvent } from "@origin-regions/domain/CloudEvent"
import { OUTCOME_NAMESPACE } from "@origin-regions/domain/OutcomeId"
import type { OutgoingRecord, RecordHeader } from "@origin-regions/domain/SourceRecord"
import { createHash } from "node:crypto"

/** Names the outcome whose request was sent again. On every such record, also where its value is none that could say so. */
export const REPLAY_HEADER = "origin-regions-replay-of"

/** Of all headers that we add to records. */
const OWN_PREFIX = "origin-regions-"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The id of a request that is sent again: the same for the same outcome, so that whoever compares ids sees a repeat as one, and another each time that it is
 * sent again on purpose. A UUIDv5 in the namespace of outcomes' ids, whose names are of five parts.
 */
export const replayId = (outcomeId: string, repeat: number): string => {
  const digest = createHash("sha1").update(Buffer.from(OUTCOME_NAMESPACE.replaceAll("-", ""), "hex"))
    .update(JSON.stringify(["replay", outcomeId, repeat])).digest().subarray(0, 16)
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  return digest.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}

/** JSON that keeps numbers as they are written: one may be larger than JavaScript's can tell apart. */
const exactJson = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown
  rawJSON(text: string): unknown
}

const parseExactly = (text: string): unknown =>
  exactJson.parse(
    text,
    (_, value, { source }) => typeof value === "number" && source !== undefined ? exactJson.rawJSON(source) : value
  )

/** A request as it was sent, without the headers that we have added to its dead letter. */
export const originalOf = ({ headers, key, value }: OutgoingRecord): OutgoingRecord => ({
  key,
  value,
  headers: headers.filter(({ name }) => !name.startsWith(OWN_PREFIX))
})

/**
 * The record that asks for the same again: with an id of its own, and the outcome's id as `causationid`. One that has no id, as it is no event, goes as it came. `repeat` counts how often it
 * was sent again before.
 */
export const replayRecord = (original: OutgoingRecord, outcomeId: string, repeat: number): OutgoingRecord => {
  const link = { name: REPLAY_HEADER, value: encoder.encode(outcomeId) }
  const headers = [...original.headers.filter(({ name }) => name !== REPLAY_HEADER), link]
  const { key, value } = original
  if (readCloudEvent(original).id === null) return { key, value, headers }
  const id = replayId(outcomeId, repeat)
  if (contentMode(original.headers) === "binary") return { key, value, headers: withAttributes(headers, id, outcomeId) }
  // It was read as an envelope just now.
  const envelope = parseExactly(decoder.decode(value ?? undefined)) as Readonly<Record<string, unknown>>
  return { key, value: encoder.encode(JSON.stringify({ ...envelope, id, causationid: outcomeId })), headers }
}

const withAttributes = (headers: ReadonlyArray<RecordHeader>, id: string, causationid: string) => [
  ...headers.filter(({ name }) => !/^ce_(?:id|causationid)$/i.test(name)),
  { name: "ce_id", value: encoder.encode(id) },
  { name: "ce_causationid", value: encoder.encode(causationid) }
]
