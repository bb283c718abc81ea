import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { Option } from "effect"

/** Which request an outcome answers, as far as the outcome itself tells. */
export interface OutcomeReference {
  readonly id: string
  /** Of the outcome: it names the consumer's group. */
  readonly source: string
  readonly request: {
    readonly id: string | null
    readonly source: string | null
    readonly topic: string
    readonly partition: number
    readonly offset: number
  }
}

const BEGINNING = "{\"specversion\":\"1.0\",\"id\":\""
const SOURCE = "\",\"source\":\""
const REQUEST = ",\"data\":{\"request\":{"
const OPERATION = ",\"operation\":"

/** Reads an outcome's value; `undefined` where it is none. One laid out as the consumer writes it costs a third of what reading all of it does. */
export const outcomeReference = (value: Buffer): OutcomeReference | undefined => {
  const text = value.toString("utf8")
  return referenceIn(text) ?? Option.getOrUndefined(
    Option.map(readOutcome(text), ({ data, id, source }) => ({ id, source, request: data.request }))
  )
}

/**
 * What stands at the places where the consumer puts it; `undefined` where anything is elsewhere, or could be.
 *
 * A bare quotation mark next to `{`, `,` or `:` is never inside a text of JSON, so what is looked for is a name of a field. The brace of `data` is the first behind the outermost,
 * so it is that of the envelope; and as none of the names comes again behind it, no later field of the same name counts instead.
 */
export const referenceIn = (text: string): OutcomeReference | undefined => {
  const idEnd = text.indexOf(SOURCE, BEGINNING.length)
  if (idEnd === -1 || !text.startsWith(BEGINNING)) return undefined
  const sourceStart = idEnd + SOURCE.length
  const sourceEnd = text.indexOf("\"", sourceStart)
  const data = text.indexOf("{", 1) + 1 - REQUEST.indexOf("{") - 1
  if (data < sourceEnd || !text.startsWith(REQUEST, data)) return undefined
  const start = data + REQUEST.length - 1
  const end = text.indexOf(OPERATION, start)
  if (end === -1 || text.includes("\"request\"", end) || text.includes("\"data\"", end)) return undefined
  const id = text.slice(BEGINNING.length, idEnd)
  const source = text.slice(sourceStart, sourceEnd)
  if (!isPlain(id) || !isPlain(source)) return undefined
  try {
    const request: unknown = JSON.parse(text.slice(start, end))
    return isRequest(request) ? { id, source, request } : undefined
  } catch {
    return undefined
  }
}

/** Written in JSON as it is. */
const isPlain = (text: string): boolean => !text.includes("\\") && !text.includes("\"")

const isRequest = (value: unknown): value is OutcomeReference["request"] => {
  if (typeof value !== "object" || value === null) return false
  const { id, offset, partition, source, topic } = value as Readonly<Record<string, unknown>>
  return isTextOrNull(id) && isTextOrNull(source) && typeof topic === "string" && isCount(partition) && isCount(offset)
}

const isTextOrNull = (value: unknown): boolean => typeof value === "string" || value === null

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0
