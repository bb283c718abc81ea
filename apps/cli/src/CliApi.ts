import type { ApiError } from "@origin-regions/api-client/ApiError"
import { ApiSettings, readApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { retryTransient } from "@origin-regions/api-client/RetryPolicy"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { Console, Duration, Effect, Layer, Result } from "effect"
import { ApiFailed, CommandError, WrongSettings } from "./CommandError.ts"

/** The API as the consumer's settings say where it is. */
export const layerApi = (environment: Environment): Layer.Layer<OriginRegionsApi | ApiSettings, CommandError> => {
  const settings = Layer.effect(
    ApiSettings,
    Effect.fromResult(
      Result.flatMap(completeEnvironment(environment), ({ environment }) => readApiSettings(environment))
    ).pipe(
      Effect.mapError((problems) =>
        new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
      )
    )
  )
  return OriginRegionsApi.layerNoDeps.pipe(Layer.provideMerge(settings))
}

/** What the API, or what stands before it, says to a person; with what can be done about it. */
export const apiFailed = ({ message, reason }: ApiError, { baseUrl }: ApiSettings["Service"]): CommandError => {
  const fix = reason._tag === "BadCredential"
    ? "Set CLOUDFLARE_API_TOKEN to one that may read and edit the zone."
    : reason._tag === "Unreachable"
    ? `The API is at ${baseUrl.href} (CLOUDFLARE_BASE_URL); npm start prints where its own is.`
    : undefined
  const code = "code" in reason && reason.code !== undefined ? { code: reason.code } : {}
  return new CommandError({
    reason: new ApiFailed({ name: reason._tag, problem: message, ...code, ...fix === undefined ? {} : { fix } })
  })
}

/** How often a read is tried again that fails for a moment. */
const READ_RETRIES = 3

/** Makes a call once the quota has room for it, as far as that is known: the consumers use the same. */
export const withinQuota = <A, R>(call: Effect.Effect<A, ApiError, R>) =>
  Effect.gen(function*() {
    const { quota } = yield* OriginRegionsApi
    quota.own(1)
    const { waitMillis } = quota
    if (waitMillis > 0 && Number.isFinite(waitMillis)) {
      yield* Console.error("Waiting for the API's quota…")
      yield* Effect.sleep(Duration.millis(waitMillis))
    }
    return yield* call
  })

/** The same for what can be repeated without harm. */
export const readWithinQuota = <A, R>(call: Effect.Effect<A, ApiError, R>) =>
  withinQuota(retryTransient(READ_RETRIES)(call))
