const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })

/** A count. */
export const count = (number: number): string => plain.format(number)

/** A rate: with a decimal where that says something. */
export const rate = (number: number): string => {
  if (number > 0 && number < 0.05) return "<0.1"
  return number === 0 || number >= 9.95 ? plain.format(number) : number.toFixed(1)
}

/** Two digits that say something, and none that says nothing. */
const short = (number: number): string => String(Number(number.toFixed(number < 9.95 ? 1 : 0)))

/** Milliseconds, in the unit that suits them: the figure and its unit. */
export const duration = (millis: number): readonly [figure: string, unit: string] => {
  if (millis < 1) return ["<1", "ms"]
  if (millis < 1_000) return [millis.toFixed(0), "ms"]
  if (millis < 100_000) return [short(millis / 1_000), "s"]
  if (millis < 6_000_000) return [short(millis / 60_000), "min"]
  return [short(millis / 3_600_000), "h"]
}

export const durationText = (millis: number | null): string => millis === null ? "–" : duration(millis).join(" ")

/** The time of day in UTC, to the second: as in the log and in /status. */
export const clockTime = (time: number): string => new Date(time).toISOString().slice(11, 19)

/** A time, with its date where that is not today's. */
export const moment = (time: number, now: number): string => {
  const text = new Date(time).toISOString()
  const isToday = text.slice(0, 10) === new Date(now).toISOString().slice(0, 10)
  return isToday ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 19)}`
}

export const plural = (number: number, what: string): string => `${count(number)} ${what}${number === 1 ? "" : "s"}`
