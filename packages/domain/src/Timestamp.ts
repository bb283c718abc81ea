import { Schema } from "effect"

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})t(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:z|([+-])(\d{2}):(\d{2}))$/i

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/**
 * Milliseconds since 1970 of an RFC 3339 timestamp, or `undefined` where the text is none. Fractions beyond milliseconds are dropped; a leap
 * second counts as the second after it.
 */
export const parseTimestamp = (text: string): number | undefined => {
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const [, year = "", month = "", day = "", hour = "", minute = "", second = ""] = match
  const [fraction = "", sign, offsetHours = "0", offsetMinutes = "0"] = match.slice(7)
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  // A day or month that does not exist rolls over into another month.
  if (date.getUTCMonth() !== Number(month) - 1) return undefined
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, "0").slice(0, 3)))
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * MINUTE
  const milliseconds = date.getTime() - (sign === "-" ? -offset : offset)
  // Leap seconds are the last of a day in UTC (RFC 3339, section 5.7).
  if (Number(second) === 60 && mod(milliseconds, DAY) >= 1000) return undefined
  return milliseconds
}

const mod = (dividend: number, divisor: number): number => ((dividend % divisor) + divisor) % divisor

/** RFC 3339 in UTC, to the millisecond. For moments of the years 0 to 9999. */
export const formatTimestamp = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** A record's timestamp as RFC 3339, or `null` where it has none (-1) or one that a producer set far beyond the year 9999. */
export const formatRecordTimestamp = (milliseconds: number): string | null =>
  milliseconds >= 0 && milliseconds <= LAST_MOMENT ? formatTimestamp(milliseconds) : null

const LAST_MOMENT = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** An RFC 3339 timestamp, as text. */
export const Timestamp = Schema.String.annotate({ format: "date-time" }).check(
  Schema.makeFilter((text: string): true | string =>
    parseTimestamp(text) !== undefined || "must be an RFC 3339 timestamp"
  )
)
