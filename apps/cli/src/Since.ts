import { parseTimestamp } from "@origin-regions/domain/Timestamp"
import { Clock, Duration, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { CommandError, WrongUsage } from "./CommandError.ts"

/** `--since`: a moment, or how long ago it was. */
export const sinceFlag = (description: string) =>
  Flag.String("since").pipe(
    Flag.withDescription(`${description}: a time such as 2026-11-28T12:00:00Z, or how long ago, such as "2 hours"`),
    Flag.optional
  )

/** In milliseconds since 1970; `undefined` where the flag is not given. */
export const sinceMoment = Effect.fnUntraced(function*(since: Option.Option<string>) {
  if (Option.isNone(since)) return undefined
  const moment = parseTimestamp(since.value)
  if (moment !== undefined) return moment
  const ago = Duration.fromInput(since.value as Duration.Input)
  if (Option.isNone(ago) || !Duration.isFinite(ago.value)) {
    const problem = `--since is ${
      JSON.stringify(since.value)
    }: expected a time such as 2026-11-28T12:00:00Z, or a duration such as "2 hours".`
    return yield* new CommandError({ reason: new WrongUsage({ problem }) })
  }
  return (yield* Clock.currentTimeMillis) - Duration.toMillis(ago.value)
})
