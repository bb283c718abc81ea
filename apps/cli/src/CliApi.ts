import type { ApiError } from "@origin-regions/api-client/ApiError"
import { ApiSettings, readApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { retryTransient } from "@origin-regions/api-client/RetryPolicy"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { Effect, Layer, Result } from "effect"
import { ApiFailed, CommandError, WrongSettings } from "./CommandError.ts"

/** A full zone has 3,500 mappings, of which a page has a hundred. */
export const CALLS_OF_A_LIST = 36

/** Longer than the quota's window: then it is not ours to wait for. */
const LONGEST_WAIT_SECONDS = 330

const TRIES = 5

/** The consumer leaves the rest of the quota to people, who sit here. At least a tenth, which is more than a list takes. */
const ofPeople = (share: number): number => Math.max(0.1, 1 - share)

/** The API by the consumer's own settings of it, with a quota that is apart from the consumer's. */
export const layerApi = (environment: Environment): Layer.Layer<ApiSettings | OriginRegionsApi, CommandError> =>
  OriginRegionsApi.layerNoDeps.pipe(
    Layer.provideMerge(Layer.effect(
      ApiSettings,
      Effect.fromResult(
        Result.flatMap(completeEnvironment(environment), ({ environment }) => readApiSettings(environment))
      ).pipe(
        Effect.map((settings) => {
          const { quota } = settings
          const own = quota === undefined ? undefined : { calls: quota.calls, share: ofPeople(quota.share) }
          return { ...settings, quota: own }
        }),
        Effect.mapError((problems) =>
          new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
        )
      )
    ))
  )

/** What the API, or what stands before it, says to a person; with what can be done about it. `what` was not done, if that is not plain. */
export const apiFailed = (
  { message, reason }: ApiError,
  { baseUrl }: ApiSettings["Service"],
  what?: string
): CommandError => {
  const fix = reason._tag === "BadCredential"
    ? { fix: "Set CLOUDFLARE_API_TOKEN to one that may read and edit the zone." }
    : reason._tag === "Unreachable"
    ? { fix: `The API is at ${baseUrl.href} (CLOUDFLARE_BASE_URL): is that right? npm start prints where its own is.` }
    : {}
  const code = "code" in reason && reason.code !== undefined ? { code: reason.code } : {}
  const problem = what === undefined ? message : `${what}: ${message}`
  return new CommandError({ reason: new ApiFailed({ problem, name: reason._tag, ...code, ...fix }) })
}

/** Makes an operation once so many calls may be made for it. */
export const withinQuota = Effect.fnUntraced(function*<A, R>(calls: number, operation: Effect.Effect<A, ApiError, R>) {
  const { quota } = yield* OriginRegionsApi
  quota.own(1)
  const { known } = quota
  const needed = known === undefined ? calls : Math.min(calls, Math.max(1, Math.floor(known.limit * known.share)))
  for (let seconds = 0; seconds < LONGEST_WAIT_SECONDS; seconds++) {
    if (quota.waitMillis <= 0 && quota.spare >= needed) break
    yield* Effect.sleep("1 second")
  }
  return yield* operation
})

/** The same for what only reads: again where that may help. */
export const readWithinQuota = <A, R>(calls: number, operation: Effect.Effect<A, ApiError, R>) =>
  retryTransient(TRIES)(withinQuota(calls, operation))
