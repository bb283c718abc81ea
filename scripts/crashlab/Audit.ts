import { type MappingKey, mappingKey } from "@origin-regions/domain/MappingKey"
import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"

/** What the lab looks for. Every number must be 0. */
export interface Verdict {
  /** Requests without an outcome. */
  readonly lost: number
  /** Outcomes beyond the first of a request. */
  readonly duplicate: number
  /** Outcomes that a sequential execution would not have had, false 1145 and false `created` among them. */
  readonly false: number
  /** Outcomes of an address that come before one of an earlier request. */
  readonly outOfOrder: number
  /** Addresses whose mapping is not the one that a sequential execution leaves. */
  readonly wrongState: number
  /** A few of the findings, in words. */
  readonly examples: ReadonlyArray<string>
}

/** A mapping as vendor and region. */
export type Place = string

const KNOWN_REGIONS: ReadonlySet<Place> = new Set([
  "aws us-east-1",
  "aws eu-west-1",
  "gcp us-central1",
  "azure westeurope"
])
const MAX_EXAMPLES = 20

/**
 * Holds the outcomes against what a sequential execution of the request records would have done, address by address in the order of their partition, and
 * the API's mappings against what it would have left. Nobody else may write to these addresses.
 */
export const audit = (
  requests: ReadonlyArray<SourceRecord>,
  outcomes: ReadonlyArray<MappingOutcome>,
  mappings: ReadonlyMap<MappingKey, Place>
): Verdict => {
  const examples: Array<string> = []
  const found = (text: string) => {
    if (examples.length < MAX_EXAMPLES) examples.push(text)
  }
  const byRecord = Map.groupBy(outcomes, ({ data: { request } }) => `${request.partition}@${request.offset}`)
  const state = new Map<MappingKey, Place>()
  let lost = 0
  let duplicate = 0
  let wrong = 0
  for (const record of requests) {
    const at = `${record.partition}@${record.offset}`
    const answers = byRecord.get(at) ?? []
    const expected = execute(record, state)
    const [first] = answers
    if (first === undefined) {
      lost += 1
      found(`lost: ${at}, expected ${expected}`)
      continue
    }
    duplicate += answers.length - 1
    if (answers.length > 1) found(`duplicate: ${at} has ${answers.map(({ outcomecode }) => outcomecode).join(", ")}`)
    const odd = answers.find((answer) => answer.outcomecode !== expected && !mayHaveDeleted(answer, expected))
    if (odd !== undefined) {
      wrong += 1
      found(
        `false: ${at} ${odd.subject} ${odd.data.operation} is ${odd.outcomecode}, expected ${expected}: ${
          JSON.stringify(odd.data)
        }`
      )
    }
  }
  let outOfOrder = 0
  const lastOffset = new Map<string, number>()
  for (const { data: { request }, subject } of outcomes) {
    const address = `${request.partition} ${subject}`
    const before = lastOffset.get(address) ?? -1
    if (request.offset < before) {
      outOfOrder += 1
      found(`out of order: ${address} ${request.offset} after ${before}`)
    }
    lastOffset.set(address, Math.max(before, request.offset))
  }
  let wrongState = 0
  for (const key of new Set([...state.keys(), ...mappings.keys()])) {
    if (state.get(key) === mappings.get(key)) continue
    wrongState += 1
    found(`state: ${key} is ${mappings.get(key)}, expected ${state.get(key)}`)
  }
  return { lost, duplicate, false: wrong, outOfOrder, wrongState, examples }
}

/** A delete that may have been sent before and finds nothing counts as the one that deleted it: the API does not say who did. */
const mayHaveDeleted = ({ data, outcomecode }: MappingOutcome, expected: string): boolean =>
  expected === "unchanged" && outcomecode === "deleted" && "recovered" in data && data.recovered

/** Executes a request on the state and answers the outcome's code. */
const execute = (record: SourceRecord, state: Map<MappingKey, Place>): string => {
  const { verdict } = readRequest(record)
  if (verdict._tag !== "Apply") return verdict._tag
  const { change } = verdict
  const key = mappingKey(change.zoneId, change.originIp)
  if (change.operation === "delete") return state.delete(key) ? "deleted" : "unchanged"
  const place = `${change.vendor} ${change.region}`
  if (!KNOWN_REGIONS.has(place)) return "1157"
  if (change.operation === "create" && state.has(key)) return "1145"
  state.set(key, place)
  return change.operation === "create" ? "created" : "upserted"
}
