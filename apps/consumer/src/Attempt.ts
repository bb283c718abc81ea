import { type AlreadyExists, ApiError } from "@origin-regions/api-client/ApiError"
import { type CreateItem, OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { delayBefore } from "@origin-regions/api-client/RetryPolicy"
import type { Mapping } from "@origin-regions/domain/Mapping"
import { rejectedByRule, type Settlement } from "@origin-regions/domain/MappingOutcome"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Change, Verdict } from "@origin-regions/domain/RequestReader"
import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Clock, Context, Duration, Effect, Layer, Random } from "effect"
import { pipelineMetrics } from "./PipelineMetrics.ts"
import { LOOK_UP_SPACING, PublishedOutcomes } from "./PublishedOutcomes.ts"
import type { RememberedRequest } from "./RequestMemory.ts"
import { onBehalfOf } from "./RequestTraces.ts"
import { type Found, isAsAsked, resolve } from "./Resolution.ts"
import { laneOf, sameBefore, type Task } from "./Task.ts"

/** What one attempt at a request came to: it is settled, waits for its next attempt, or for what became of it before. */
export type AttemptResult =
  | { readonly _tag: "Settled"; readonly settlement: Settlement }
  | { readonly _tag: "Waiting"; readonly delay: Duration.Duration; readonly error: ApiError }
  | LookingUp

/** The same request has come before, and what became of it is to be looked up before the next attempt; `tell` is told why it can't be, where so, and it is tried again after `delay`. No call to the API is made for it. */
export interface LookingUp {
  readonly _tag: "LookingUp"
  readonly delay: Duration.Duration
  readonly lookUp: (tell: (problem: string) => void) => Effect.Effect<void>
}

/** What became of a request in a batch. Where it was refused, or the batch was, nothing says for certain why: it is to be tried again alone. */
export type BatchedResult = AttemptResult | { readonly _tag: "GoesAlone" }

/** A credential that does not work is tried again at this pace, until somebody has put it right. */
const CREDENTIAL_SPACING = Duration.seconds(10)

/** The API has said that there is a mapping, and then that there is none: before it is asked a third time. */
const GONE_SPACING = Duration.seconds(1)

/** Since when an attempt at the request may have been applied, in the API's clock. */
const since = ({ undone }: Task): number => undone.attemptedSince ?? 0

const settled = (settlement: Settlement): AttemptResult => ({ _tag: "Settled", settlement })

const succeeded = (result: "created" | "upserted" | "deleted", mapping: Mapping | null): AttemptResult =>
  settled({ _tag: "Succeeded", result, mapping, recovered: false })

/** What the API says when it refuses. */
interface Refusal {
  readonly code: number
  readonly message: string
  readonly documentationUrl?: string | undefined
}

const rejection = ({ code, documentationUrl, message }: Refusal) =>
  ({
    _tag: "Rejected",
    code,
    message,
    ...(documentationUrl === undefined ? undefined : { documentationUrl })
  }) as const

const GOES_ALONE: BatchedResult = { _tag: "GoesAlone" }

/** Requests of a call for which one look has not told what has become of them. */
const READS_AT_A_TIME = 8

type Read = (change: Change) => Effect.Effect<Found, ApiError>

const countFailure = (task: Task, error: ApiError): void => {
  if (error.mayHaveBeenApplied) task.inDoubt = true
  if (error.mayHaveBeenApplied || error.category === "reject" || error.category === "absent") task.attempts += 1
}

/** When it was changed a batch doesn't tell. Only what it has done counts as an attempt: one that is refused is made alone. */
const resultOfItem = (task: Task, change: Change, item: CreateItem | undefined): BatchedResult => {
  if (item?._tag !== "Applied") return GOES_ALONE
  task.attempts += 1
  if (change.operation === "delete") return succeeded("deleted", item.mapping)
  const { originIp, region, vendor, zoneId } = change
  const asked = { zone_id: zoneId, origin_ip: originIp, vendor, region, modified_on: null }
  return succeeded(change.operation === "create" ? "created" : "upserted", item.mapping ?? asked)
}

/** What is decided without asking the API: precedence is malformed, expired, 1146, 1157. */
const decidedLocally = (verdict: Verdict, expiresAt: number | null, now: number): Settlement | undefined => {
  if (verdict._tag === "Malformed") return { _tag: "Malformed", issues: verdict.issues }
  if (expiresAt !== null && now >= expiresAt) {
    return { _tag: "Failed", name: "expired", message: `The request expired at ${formatTimestamp(expiresAt)}.` }
  }
  switch (verdict._tag) {
    case "InvalidIp":
      return rejectedByRule("invalid_ip")
    case "UnsupportedRegion":
      return rejectedByRule("unsupported_region")
    case "Apply":
      return undefined
  }
}

/**
 * Makes one attempt at a request. Never waits between attempts and never fails: what can't be settled yet comes back as `Waiting`, and whoever
 * calls decides when the next attempt is made.
 */
export class Attempt extends Context.Service<Attempt, {
  readonly make: (task: Task) => Effect.Effect<AttemptResult>
  /** Makes one at requests of a zone by one call, each of another address, all for the same `batchedOperation`. Their results are in their order. */
  readonly makeTogether: (tasks: ReadonlyArray<Task>) => Effect.Effect<ReadonlyArray<BatchedResult>>
}>()("@origin-regions/consumer/Attempt") {
  /** `requestDeadline`: how long a request is tried for before it is given up, from its first attempt. */
  static readonly layer = (options: { readonly requestDeadline: Duration.Duration }) =>
    Layer.effect(
      Attempt,
      Effect.gen(function*() {
        const api = yield* OriginRegionsApi
        const clock = yield* Clock.Clock
        const random = yield* Random.Random
        const published = yield* PublishedOutcomes
        const { resolverRead } = yield* pipelineMetrics
        const deadlineMillis = Duration.toMillis(options.requestDeadline)

        /** What this process does next it does after its own change. */
        const changed = (result: "created" | "upserted", mapping: Mapping): AttemptResult => {
          api.clock.sawChange(mapping.modified_on)
          return succeeded(result, mapping)
        }

        const call = (change: Change): Effect.Effect<AttemptResult, ApiError> => {
          const address = { zone_id: change.zoneId, origin_ip: change.originIp }
          switch (change.operation) {
            case "create":
              return Effect.map(
                api.create({ ...address, vendor: change.vendor, region: change.region }),
                (mapping) => changed("created", mapping)
              )
            case "upsert":
              return Effect.map(
                api.upsert({ ...address, vendor: change.vendor, region: change.region }),
                (mapping) => changed("upserted", mapping)
              )
            case "delete":
              return Effect.map(api.delete(address), (mapping) => succeeded("deleted", mapping))
          }
        }

        const read = (change: Change): Effect.Effect<Found, ApiError> =>
          Effect.andThen(
            Effect.sync(resolverRead),
            api.get({ zone_id: change.zoneId, origin_ip: change.originIp })
          ).pipe(
            Effect.tap((found) => Effect.sync(() => api.clock.sawChange(found.modified_on))),
            Effect.catchReason("ApiError", "NotFound", () => Effect.succeed(null))
          )

        /** What is at the addresses of those in doubt among these requests of a zone, read by one look for all of them as soon as one has to know. */
        const readTogether = (tasks: ReadonlyArray<Task>): Effect.Effect<Read> =>
          Effect.map(
            Effect.cached(Effect.suspend(() => {
              const doubtful = tasks.flatMap(({ inDoubt, request: { verdict } }) =>
                inDoubt && verdict._tag === "Apply" ? [verdict.change] : []
              )
              const [first] = doubtful
              if (first === undefined || doubtful.length === 1) return Effect.succeed(new Map<OriginIp, Found>())
              resolverRead()
              return api.getMany(first.zoneId, doubtful.map(({ originIp }) => originIp))
            })),
            (look): Read => (change) =>
              Effect.flatMap(look, (found) => {
                const there = found.get(change.originIp)
                return there === undefined ? read(change) : Effect.succeed(there)
              })
          )

        const delayAfter = (failures: number, error: ApiError, otherwise = CREDENTIAL_SPACING): Duration.Duration =>
          delayBefore(failures, error.reason, random.nextDoubleUnsafe()) ?? otherwise

        const wait = (
          task: Task,
          error: ApiError,
          delay = delayAfter(task.failures + 1, error)
        ): AttemptResult => {
          task.failures += 1
          return { _tag: "Waiting", delay, error }
        }

        /** No request is said to have failed before it is known that no attempt at it was applied. */
        const giveUp = (
          task: Task,
          change: Change,
          failure: Settlement,
          reading: Read = read
        ): Effect.Effect<AttemptResult> =>
          task.inDoubt
            ? Effect.match(reading(change), {
              onSuccess: (found) => settled(resolve(change, found, since(task)) ?? failure),
              onFailure: (error) => wait(task, error)
            })
            : Effect.succeed(settled(failure))

        const waitOrGiveUp = (
          task: Task,
          change: Change,
          error: ApiError,
          delay?: Duration.Duration,
          reading?: Read
        ): Effect.Effect<AttemptResult> => {
          const now = Math.floor(steadyMillis(clock))
          const { reason } = error
          if (now - (task.firstTriedAt ?? now) < deadlineMillis || error.category === "credential") {
            return Effect.succeed(wait(task, error, delay))
          }
          const failure: Settlement = {
            _tag: "Failed",
            name: "gave_up",
            message: `Given up after ${Duration.format(options.requestDeadline)}: ${error.message}`,
            ...("status" in reason ? { lastStatus: reason.status } : undefined),
            ...("code" in reason && reason.code !== undefined ? { lastCode: reason.code } : undefined)
          }
          return giveUp(task, change, failure, reading)
        }

        /** A create was told that the address has a mapping: ours, if an attempt of this request may have made it; else a conflict that says which. */
        const meetExisting = (task: Task, change: Change, error: ApiError, refusal: AlreadyExists) =>
          Effect.map(
            refusal.existing === undefined ? read(change) : Effect.succeed(refusal.existing),
            (found: Found): AttemptResult => {
              const ours = task.inDoubt ? resolve(change, found, since(task)) : undefined
              if (ours !== undefined) return settled(ours)
              // It has gone since, so what was in doubt was never applied, or is undone: the request is still to be done.
              if (task.inDoubt && found === null) {
                return wait(task, error, delayAfter(task.failures + 1, error, GONE_SPACING))
              }
              const conflict = found === null
                ? { existing: null, matches: false }
                : {
                  existing: { vendor: found.vendor, region: found.region, modified_on: found.modified_on },
                  matches: isAsAsked(change, found)
                }
              return settled({ ...rejection(refusal), conflict })
            }
          )

        const interpret = (task: Task, change: Change, error: ApiError): Effect.Effect<AttemptResult> => {
          const { reason } = error
          switch (reason._tag) {
            case "AlreadyExists":
              return meetExisting(task, change, error, reason).pipe(
                Effect.catch((failure) => waitOrGiveUp(task, change, failure))
              )
            case "NotFound":
              if (change.operation !== "delete") {
                return giveUp(task, change, rejection(reason))
              }
              return Effect.succeed(settled(
                (task.inDoubt ? resolve(change, null, since(task)) : undefined) ??
                  { _tag: "Succeeded", result: "unchanged", mapping: null, recovered: false }
              ))
            case "Rejected":
              return giveUp(task, change, rejection(reason))
            default:
              return waitOrGiveUp(task, change, error)
          }
        }

        /** The same request has come before: what became of it is told again. Where nobody knows it any more, this one is made. */
        const recall = (task: Task, same: RememberedRequest): AttemptResult =>
          same.settlement !== undefined
            ? settled({ ...same.settlement, replayed: true })
            : {
              _tag: "LookingUp",
              delay: LOOK_UP_SPACING,
              lookUp: (tell) =>
                Effect.map(
                  published.find({ ...same, key: laneOf(task), partition: task.record.partition }, tell),
                  (settlement) => {
                    if (settlement !== undefined) same.settlement = settlement
                    else if (task.identity !== undefined) task.owner.memory.forget(task.identity)
                  }
                )
            }

        const makeAttempt = (task: Task, reading?: Read): Effect.Effect<AttemptResult> =>
          Effect.suspend(() => {
            const same = sameBefore(task)
            if (same !== undefined) return Effect.succeed(recall(task, same))
            const { event, verdict } = task.request
            const now = clock.currentTimeMillisUnsafe()
            const decided = decidedLocally(verdict, event.expiresAt, now)
            if (verdict._tag !== "Apply") return Effect.succeed(settled(decided ?? { _tag: "Malformed", issues: [] }))
            if (decided !== undefined) return giveUp(task, verdict.change, decided, reading)
            task.firstTriedAt ??= Math.floor(steadyMillis(clock))
            return Effect.matchEffect(call(verdict.change), {
              onSuccess: (result) => {
                task.attempts += 1
                return Effect.succeed(result)
              },
              onFailure: (error) => {
                countFailure(task, error)
                return interpret(task, verdict.change, error)
              }
            })
          })

        const callTogether = (
          changes: ReadonlyArray<Change>
        ): Effect.Effect<ReadonlyMap<OriginIp, CreateItem>, ApiError> => {
          const [first] = changes
          if (first === undefined) return Effect.succeed(new Map())
          const mappings = changes.flatMap((change) =>
            change.operation === "delete"
              ? []
              : [{ origin_ip: change.originIp, vendor: change.vendor, region: change.region }]
          )
          switch (first.operation) {
            case "create":
              return api.createMany(first.zoneId, mappings)
            case "upsert":
              return api.upsertMany(first.zoneId, mappings)
            case "delete":
              return api.deleteMany(first.zoneId, changes.map(({ originIp }) => originIp))
          }
        }

        /** How long those wait whose call has failed with an error: all for the same time, so as to go together again. */
        const delaysTogether = (tasks: Iterable<Task>) => {
          const failures = Math.max(...Array.from(tasks, (task) => task.failures)) + 1
          const delays = new Map<ApiError, Duration.Duration>()
          return (error: ApiError): Duration.Duration => {
            const delay = delays.get(error) ?? delayAfter(failures, error)
            delays.set(error, delay)
            return delay
          }
        }

        /** What came of one of them; a failure is of the call, or of what of it wrote this one. */
        const comeTo = (
          task: Task,
          change: Change,
          item: CreateItem | ApiError | undefined,
          delayOf: (error: ApiError) => Duration.Duration,
          reading: Read
        ): Effect.Effect<BatchedResult> => {
          if (item?._tag === "Unwritten") return comeTo(task, change, item.error, delayOf, reading)
          if (item?._tag === "AlreadyExists") {
            const error = new ApiError({ reason: item })
            countFailure(task, error)
            return interpret(task, change, error)
          }
          if (item?._tag !== "ApiError") return Effect.succeed(resultOfItem(task, change, item))
          if (item.category === "reject" || item.category === "absent") return Effect.succeed(GOES_ALONE)
          countFailure(task, item)
          return waitOrGiveUp(task, change, item, delayOf(item), reading)
        }

        const makeTogether = Effect.fnUntraced(function*(tasks: ReadonlyArray<Task>) {
          const now = clock.currentTimeMillisUnsafe()
          const applied = new Map<Task, Change>()
          for (const task of tasks) {
            const { event, verdict } = task.request
            if (verdict._tag !== "Apply" || decidedLocally(verdict, event.expiresAt, now) !== undefined) continue
            task.firstTriedAt ??= Math.floor(steadyMillis(clock))
            applied.set(task, verdict.change)
          }
          const delayOf = delaysTogether(applied.keys())
          const reading = yield* readTogether(tasks)
          const itemOf = yield* Effect.match(callTogether([...applied.values()]), {
            onSuccess: (items) => ({ originIp }: Change) => items.get(originIp),
            onFailure: (error) => () => error
          })
          return yield* Effect.forEach(tasks, (task) => {
            const change = applied.get(task)
            const result = change === undefined
              ? makeAttempt(task, reading)
              : comeTo(task, change, itemOf(change), delayOf, reading)
            return task.span === undefined ? result : onBehalfOf([task], result)
          }, { concurrency: tasks.some(({ inDoubt }) => inDoubt) ? READS_AT_A_TIME : 1 })
        })

        return Attempt.of({ make: (task) => makeAttempt(task), makeTogether })
      })
    )
}
