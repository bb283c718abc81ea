import { parseTimestamp } from "@origin-regions/domain/Timestamp"
import { Clock, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { CommandError, WrongUsage } from "./CommandError.ts"
import { typedDuration } from "./TypedDuration.ts"

/** `--since`: a moment, or how long ago it was. */
export const sinceFlag = (description: string) =>
  Flag.String("since").pipe(
    Flag.withDescription(`${description}: a time such as 2026-11-28T12:00:00Z, or how long ago, such as 2h`),
    Flag.optional
  )

/** In milliseconds since 1970; `undefined` where the flag is not given. */
export const sinceMoment = Effect.fnUntraced(function*(since: Option.Option<string>) {
  if (Option.isNone(since)) return undefined
  const moment = parseTimestamp(since.value)
  if (moment !== undefined) return moment
  const ago = typedDuration(since.value)
  if (ago === undefined) {
    const problem = `--since is ${
      JSON.stringify(since.value)
    }: expected a time such as 2026-11-28T12:00:00Z, or how long ago it was, such as 30m, 2h or 2d.`
    return yield* new CommandError({ reason: new WrongUsage({ problem }) })
  }
  return (yield* Clock.currentTimeMillis) - ago
})
