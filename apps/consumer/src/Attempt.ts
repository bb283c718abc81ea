import type { ApiError } from "@origin-regions/api-client/ApiError"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { delayBefore } from "@origin-regions/api-client/RetryPolicy"
import type { Mapping } from "@origin-regions/domain/Mapping"
import { rejectedByRule, type Settlement } from "@origin-regions/domain/MappingOutcome"
import type { Change, Verdict } from "@origin-regions/domain/RequestReader"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Clock, Context, Duration, Effect, Layer, Random } from "effect"
import type { Task } from "./Task.ts"

/** What one attempt at a request came to: it is settled, or waits for its next attempt. */
export type AttemptResult =
  | { readonly _tag: "Settled"; readonly settlement: Settlement }
  | { readonly _tag: "Waiting"; readonly delay: Duration.Duration; readonly error: ApiError }

/** A credential that does not work is tried again at this pace, until somebody has put it right. */
const CREDENTIAL_SPACING = Duration.seconds(10)

const settled = (settlement: Settlement): AttemptResult => ({ _tag: "Settled", settlement })

const succeeded = (result: "created" | "upserted" | "deleted" | "unchanged", mapping: Mapping | null): AttemptResult =>
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
}>()("@origin-regions/consumer/Attempt") {
  /** `requestDeadline`: how long a request is tried for before it is given up, from its first attempt. */
  static readonly layer = (options: { readonly requestDeadline: Duration.Duration }) =>
    Layer.effect(
      Attempt,
      Effect.gen(function*() {
        const api = yield* OriginRegionsApi
        const clock = yield* Clock.Clock
        const random = yield* Random.Random
        const deadlineMillis = Duration.toMillis(options.requestDeadline)

        const call = (change: Change): Effect.Effect<AttemptResult, ApiError> => {
          const address = { zone_id: change.zoneId, origin_ip: change.originIp }
          switch (change.operation) {
            case "create":
              return Effect.map(
                api.create({ ...address, vendor: change.vendor, region: change.region }),
                (mapping) => succeeded("created", mapping)
              )
            case "upsert":
              return Effect.map(
                api.upsert({ ...address, vendor: change.vendor, region: change.region }),
                (mapping) => succeeded("upserted", mapping)
              )
            case "delete":
              return Effect.map(api.delete(address), (mapping) => succeeded("deleted", mapping))
          }
        }

        /** A true conflict: tells what is there, and whether it is what was asked for. */
        const conflict = (change: Change, refusal: Refusal) =>
          api.get({ zone_id: change.zoneId, origin_ip: change.originIp }).pipe(
            Effect.map((existing) => ({
              existing: { vendor: existing.vendor, region: existing.region, modified_on: existing.modified_on },
              matches: change.operation !== "delete" && existing.vendor === change.vendor &&
                existing.region === change.region
            })),
            Effect.catchReason("ApiError", "NotFound", () => Effect.succeed({ existing: null, matches: false })),
            Effect.map((found) => settled({ ...rejection(refusal), conflict: found }))
          )

        const wait = (task: Task, error: ApiError): AttemptResult => {
          const now = clock.currentTimeMillisUnsafe()
          const { reason } = error
          if (now - (task.firstTriedAt ?? now) >= deadlineMillis && error.category !== "credential") {
            return settled({
              _tag: "Failed",
              name: "gave_up",
              message: `Given up after ${Duration.format(options.requestDeadline)}: ${error.message}`,
              ...("status" in reason ? { lastStatus: reason.status } : undefined),
              ...("code" in reason && reason.code !== undefined ? { lastCode: reason.code } : undefined)
            })
          }
          task.failures += 1
          return {
            _tag: "Waiting",
            delay: delayBefore(task.failures, reason, random.nextDoubleUnsafe()) ?? CREDENTIAL_SPACING,
            error
          }
        }

        const interpret = (task: Task, change: Change, error: ApiError): Effect.Effect<AttemptResult> => {
          const { reason } = error
          switch (reason._tag) {
            case "AlreadyExists":
              return Effect.catch(conflict(change, reason), (failure) => Effect.succeed(wait(task, failure)))
            case "NotFound":
              return Effect.succeed(
                change.operation === "delete"
                  ? succeeded("unchanged", null)
                  : settled(rejection(reason))
              )
            case "Rejected":
              return Effect.succeed(settled(rejection(reason)))
            default:
              return Effect.succeed(wait(task, error))
          }
        }

        return Attempt.of({
          make: (task) =>
            Effect.suspend(() => {
              const { event, verdict } = task.request
              const now = clock.currentTimeMillisUnsafe()
              const decided = decidedLocally(verdict, event.expiresAt, now)
              if (decided !== undefined || verdict._tag !== "Apply") {
                return Effect.succeed(settled(decided ?? { _tag: "Malformed", issues: [] }))
              }
              task.firstTriedAt ??= now
              return Effect.matchEffect(call(verdict.change), {
                onSuccess: (result) => {
                  task.attempts += 1
                  return Effect.succeed(result)
                },
                onFailure: (error) => {
                  if (error.mayHaveBeenApplied || error.category === "reject" || error.category === "absent") {
                    task.attempts += 1
                  }
                  return interpret(task, verdict.change, error)
                }
              })
            })
        })
      })
    )
}
