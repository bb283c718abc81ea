const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/

/** Milliseconds since 1970 of an RFC 3339 timestamp, or `undefined` where the text is none. Fractions beyond milliseconds are dropped. */
export const parseTimestamp = (text: string): number | undefined => {
  const upper = text.toUpperCase()
  const match = rfc3339.exec(upper)
  if (match === null) return undefined
  const [, year, month, day] = match
  // Date.parse rolls 30 February over into March.
  if (Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()) return undefined
  const milliseconds = Date.parse(upper)
  return Number.isNaN(milliseconds) ? undefined : milliseconds
}

/** RFC 3339 in UTC, to the millisecond. */
export const formatTimestamp = (milliseconds: number): string => new Date(milliseconds).toISOString()
