import type { Change } from "@origin-regions/consumer/fixtures/ApiRecords"
import { type MappingKey, mappingKey } from "@origin-regions/domain/MappingKey"
import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { checkClaims, type Finding } from "./ChangeLog.ts"
import { type Place, SequentialModel } from "./SequentialModel.ts"

/** All that there is to know about a run, from Kafka and from the API. Nobody else may have written to its addresses. */
export interface Records {
  /** In the order of their partitions. */
  readonly requests: ReadonlyArray<SourceRecord>
  /** As `read_committed` shows them, in the order of their partitions. */
  readonly outcomes: ReadonlyArray<MappingOutcome>
  readonly deadLetters: ReadonlyArray<SourceRecord>
  /** The API's audit log, oldest first. */
  readonly changes: ReadonlyArray<Change>
  /** What the API has in the end. */
  readonly mappings: ReadonlyMap<MappingKey, Place>
}

/** What the system is held to. */
export interface Terms {
  readonly delivery: "exactly-once" | "at-least-once"
  readonly generation: 1 | 2
}

/** What an audit came to. From `lost` on, every number must be 0. */
export interface Verdict {
  readonly requests: number
  readonly outcomes: number
  /** Outcomes that say that an earlier attempt had done it. */
  readonly recovered: number
  /** Outcomes that tell what became of the same request before. */
  readonly replayed: number
  /** Outcomes that tell of what a batch has done. */
  readonly batched: number
  /** Outcomes and dead letters that `at-least-once` has published again. */
  readonly repeated: number
  /** Requests without an outcome, or without the dead letter that belongs to it. */
  readonly lost: number
  /** Outcomes and dead letters beyond the first of a request; in `at-least-once` only those with another id. */
  readonly duplicate: number
  /**
   * Requests whose outcome is not the one of a sequential execution, or is contradicted by the API's audit log (a false 1145 and a false `created` are
   * among them); and changes in that log that no outcome tells of.
   */
  readonly false: number
  /** Outcomes of an address that first appear after one of a later request. */
  readonly outOfOrder: number
  /** Addresses whose mapping is not the one that a sequential execution leaves. */
  readonly wrongState: number
  /** All that was found, in words. */
  readonly findings: ReadonlyArray<string>
}

interface Answered {
  readonly at: string
  readonly record: SourceRecord
  readonly read: ReturnType<typeof readRequest>
  readonly answers: ReadonlyArray<MappingOutcome>
}

const placeIn = ({ offset, partition }: { readonly partition: number; readonly offset: number }): string =>
  `${partition}@${offset}`

const name = ({ at, read: { operation, originIp, zoneId } }: Answered): string =>
  `${at} ${zoneId}/${originIp} ${operation}`

/** Holds a run's records against what a sequential execution of its requests would have done, and against each other. */
export const audit = (records: Records, terms: Terms): Verdict => {
  const byRequest = Map.groupBy(records.outcomes, ({ data: { request } }) => placeIn(request))
  const requests = records.requests.map((record): Answered => {
    const at = placeIn(record)
    return { at, record, read: readRequest(record), answers: byRequest.get(at) ?? [] }
  })
  const model = new SequentialModel(terms.generation)
  const answers = checkAnswers(requests, model, terms)
  const letters = checkDeadLetters(requests, records.deadLetters, terms)
  const findings = {
    lost: [...answers.lost, ...letters.lost],
    duplicate: [...answers.duplicate, ...letters.duplicate],
    false: [
      ...answers.wrong,
      ...letters.wrong,
      ...checkStrangers(requests, byRequest),
      ...checkChanges(requests, records.changes)
    ],
    "out of order": checkOrder(records.outcomes),
    "wrong state": checkState(model.places, records.mappings)
  }
  return {
    requests: requests.length,
    outcomes: records.outcomes.length,
    recovered: records.outcomes.filter(({ data }) => "recovered" in data && data.recovered).length,
    replayed: records.outcomes.filter(isReplayed).length,
    batched: records.outcomes.filter(({ data }) => "mapping" in data && data.mapping?.modified_on === null).length,
    repeated: answers.repeated + letters.repeated,
    lost: findings.lost.length,
    duplicate: findings.duplicate.length,
    // The model and the log can both have something to say of one request.
    false: new Set(findings.false.map(({ of }) => of)).size,
    outOfOrder: findings["out of order"].length,
    wrongState: findings["wrong state"].length,
    findings: Object.entries(findings).flatMap(([kind, found]) => found.map(({ text }) => `${kind}: ${text}`))
  }
}

/** Every request has one outcome, and it is the model's. */
const checkAnswers = (requests: ReadonlyArray<Answered>, model: SequentialModel, { delivery }: Terms) => {
  const lost: Array<Finding> = []
  const duplicate: Array<Finding> = []
  const wrong: Array<Finding> = []
  let repeated = 0
  for (const request of requests) {
    const { answers, at, read } = request
    const { code: expected, isRepeated } = model.execute(read)
    const [first, ...others] = answers
    if (first === undefined) lost.push({ of: at, text: `${name(request)}, expected ${expected}` })
    for (const other of others) {
      if (delivery === "at-least-once" && other.id === first?.id) repeated += 1
      else duplicate.push({ of: at, text: `${name(request)} is ${first?.outcomecode} and ${other.outcomecode}` })
    }
    for (const answer of answers) {
      if (isReplayed(answer) !== isRepeated) {
        wrong.push({
          of: at,
          text: `${name(request)} was ${isRepeated ? "" : "not "}there before, and is told otherwise`
        })
      }
      if (answer.outcomecode === expected || mayHaveDeleted(answer, expected)) continue
      const text = `${name(request)} is ${answer.outcomecode}, expected ${expected}: ${JSON.stringify(answer.data)}`
      wrong.push({ of: at, text })
    }
  }
  return { lost, duplicate, wrong, repeated }
}

/** It tells what became of the same request when it came before. */
const isReplayed = ({ data }: MappingOutcome): boolean => "replayed" in data

/** A delete that may have been sent before and finds nothing counts as the one that deleted it: the API does not say who did. */
const mayHaveDeleted = ({ data, outcomecode }: MappingOutcome, expected: string): boolean =>
  expected === "unchanged" && outcomecode === "deleted" && "recovered" in data && data.recovered

const headerOf = ({ headers }: SourceRecord, name: string): string =>
  new TextDecoder().decode(headers.find((header) => header.name === name)?.value ?? undefined)

const sameBytes = (one: Uint8Array | null, other: Uint8Array | null): boolean =>
  one === null || other === null ? one === other : Buffer.compare(one, other) === 0

/** What could not be read has one dead letter, unchanged; nothing else has one. */
const checkDeadLetters = (
  requests: ReadonlyArray<Answered>,
  deadLetters: ReadonlyArray<SourceRecord>,
  { delivery }: Terms
) => {
  const lost: Array<Finding> = []
  const duplicate: Array<Finding> = []
  const wrong: Array<Finding> = []
  let repeated = 0
  const byRequest = Map.groupBy(
    deadLetters,
    (letter) => `${headerOf(letter, "origin-regions-partition")}@${headerOf(letter, "origin-regions-offset")}`
  )
  for (const request of requests) {
    const { at, read, record } = request
    const letters = byRequest.get(at) ?? []
    byRequest.delete(at)
    if (read.verdict._tag !== "Malformed") {
      if (letters.length > 0) wrong.push({ of: at, text: `${name(request)} has a dead letter` })
      continue
    }
    const [first, ...others] = letters
    if (first === undefined) lost.push({ of: at, text: `${name(request)} has no dead letter` })
    else if (!letters.every(({ key, value }) => sameBytes(key, record.key) && sameBytes(value, record.value))) {
      wrong.push({ of: at, text: `${name(request)} has a dead letter that is not its record` })
    }
    if (delivery === "at-least-once") repeated += others.length
    else duplicate.push(...others.map(() => ({ of: at, text: `${name(request)} has another dead letter` })))
  }
  for (const at of byRequest.keys()) wrong.push({ of: at, text: `${at} has a dead letter, and is no request` })
  return { lost, duplicate, wrong, repeated }
}

const checkStrangers = (
  requests: ReadonlyArray<Answered>,
  byRequest: ReadonlyMap<string, ReadonlyArray<MappingOutcome>>
): ReadonlyArray<Finding> => {
  const known = new Set(requests.map(({ at }) => at))
  return [...byRequest.keys()].filter((at) => !known.has(at)).map((at) => ({
    of: at,
    text: `${at} has an outcome, and is no request`
  }))
}

/** The API has done what the outcomes say, and nothing else. */
const checkChanges = (
  requests: ReadonlyArray<Answered>,
  changes: ReadonlyArray<Change>
): ReadonlyArray<Finding> => {
  const asked = requests.flatMap(({ answers, at, read: { verdict } }) =>
    verdict._tag === "Apply" && !answers.some(isReplayed) ? [{ at, request: verdict.change, answers }] : []
  )
  const byAddress = Map.groupBy(asked, ({ request }) => mappingKey(request.zoneId, request.originIp))
  const changesByAddress = Map.groupBy(
    changes,
    ({ origin_ip, zone_id }): MappingKey => `${zone_id}/${origin_ip}`
  )
  return [...new Set([...byAddress.keys(), ...changesByAddress.keys()])].flatMap((address) =>
    checkClaims(byAddress.get(address) ?? [], changesByAddress.get(address) ?? [])
  )
}

/** Outcomes of an address come in the order of their requests, those that are published again left out. */
const checkOrder = (outcomes: ReadonlyArray<MappingOutcome>): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const seen = new Set<string>()
  const latest = new Map<string, number>()
  for (const { data: { request }, id, subject } of outcomes) {
    if (subject === undefined || seen.has(id)) continue
    seen.add(id)
    const address = `${request.partition} ${subject}`
    const before = latest.get(address) ?? -1
    if (request.offset < before) {
      findings.push({ of: placeIn(request), text: `${address}: ${request.offset} after ${before}` })
    }
    latest.set(address, Math.max(before, request.offset))
  }
  return findings
}

const checkState = (
  expected: ReadonlyMap<MappingKey, Place>,
  actual: ReadonlyMap<MappingKey, Place>
): ReadonlyArray<Finding> =>
  [...new Set([...expected.keys(), ...actual.keys()])]
    .filter((key) => expected.get(key) !== actual.get(key))
    .map((key) => ({ of: key, text: `${key} is ${actual.get(key)}, expected ${expected.get(key)}` }))
