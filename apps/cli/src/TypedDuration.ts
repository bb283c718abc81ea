import { Duration, Option } from "effect"

/** Units that people shorten. */
const UNITS: Readonly<Record<string, `${number} ${Duration.Unit}`>> = {
  s: "1 second",
  min: "1 minute",
  m: "1 minute",
  h: "1 hour",
  d: "1 day"
}

/** What a person types for a length of time, `90s`, `30m`, `2h`, `1d` or `2 hours`, in milliseconds. */
export const typedDuration = (text: string): number | undefined => {
  const [, count, unit = ""] = /^(\d{1,9})\s*([a-z]+)$/.exec(text.trim()) ?? []
  const short = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined
  if (count !== undefined && short !== undefined) return Number(count) * Duration.toMillis(short)
  const duration = Duration.fromInput(text as Duration.Input)
  return Option.isSome(duration) && Duration.isFinite(duration.value) && !Duration.isNegative(duration.value)
    ? Duration.toMillis(duration.value)
    : undefined
}
