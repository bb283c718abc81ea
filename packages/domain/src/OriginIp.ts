import { Schema } from "effect"
import ipaddr from "ipaddr.js"

/** An origin server's address in canonical form: a dotted quad, or RFC 5952 with IPv4-mapped addresses in mixed form. */
export const OriginIp = Schema.String.annotate({ description: "An address in canonical form" }).check(
  Schema.makeFilter(
    (text: string): true | string =>
      canonicalText(text) === text || "must be an IPv4 or IPv6 address in canonical form (RFC 5952)",
    { toJsonSchema: () => [ADDRESS_FORMATS, true] }
  )
).pipe(Schema.brand("OriginIp"))

export type OriginIp = typeof OriginIp.Type

/** An address in any spelling that `canonicalize` reads. */
export const IpText = Schema.String.annotate({ description: "An address in any spelling of RFC 4291" }).check(
  Schema.makeFilter(
    (text: string): true | string => canonicalText(text) !== undefined || "must be an IPv4 or IPv6 address",
    { toJsonSchema: () => [ADDRESS_FORMATS, true] }
  )
)

const ADDRESS_FORMATS = { anyOf: [{ format: "ipv4" }, { format: "ipv6" }] }

/**
 * The one canonical spelling of an IPv4 or IPv6 address, or `undefined` where the text is not exactly an address
 * (whitespace, a port, a prefix length, a zone id, a leading zero or a short form all make it none).
 *
 * Reads every spelling of RFC 4291 section 2.2; prints RFC 5952, with `::ffff:0:0/96` in the mixed form of its section 5.
 * The deprecated IPv4-compatible spelling (`::192.0.2.1`) is read and printed in hexadecimal.
 */
export const canonicalize = (text: string): OriginIp | undefined => canonicalText(text) as OriginIp | undefined

const canonicalText = (text: string): string | undefined => {
  const length = text.length
  if (length < 2 || length > 45) return undefined
  if (!text.includes(":")) return isIPv4(text) ? text : undefined
  const words = readIPv6(text)
  return words === undefined ? undefined : printIPv6(words)
}

const digitsAndDots = /^\d[\d.]{5,13}\d$/

/** ipaddr.js decides, on digits and dots only: most else it refuses by an exception inside, which costs as much as twenty addresses. */
const isIPv4 = (text: string): boolean => digitsAndDots.test(text) && ipaddr.IPv4.isValidFourPartDecimal(text)

/** The eight words of an IPv6 address, or `undefined`. A dotted tail counts as the last two words. */
const readIPv6 = (text: string): ReadonlyArray<number> | undefined => {
  const words: Array<number> = []
  let gapAt = -1
  let index = 0
  if (text.startsWith("::")) {
    gapAt = 0
    index = 2
  }
  while (index < text.length) {
    const colon = text.indexOf(":", index)
    const end = colon === -1 ? text.length : colon
    const word = readWord(text, index, end)
    if (word === -1) {
      if (colon !== -1) return undefined
      const tail = text.slice(index)
      if (!isIPv4(tail)) return undefined
      const [a = 0, b = 0, c = 0, d = 0] = tail.split(".").map(Number)
      words.push(a * 256 + b, c * 256 + d)
      break
    }
    words.push(word)
    if (colon === -1) break
    index = colon + 1
    if (index === text.length) return undefined
    if (text.charCodeAt(index) === COLON) {
      if (gapAt !== -1) return undefined
      gapAt = words.length
      index += 1
    }
  }
  if (gapAt === -1) return words.length === 8 ? words : undefined
  if (words.length > 7) return undefined
  const tail = words.splice(gapAt)
  while (words.length + tail.length < 8) words.push(0)
  words.push(...tail)
  return words
}

const COLON = 0x3a

/** The one to four hexadecimal digits from `start` to `end` as a number, or -1. */
const readWord = (text: string, start: number, end: number): number => {
  if (end === start || end - start > 4) return -1
  let word = 0
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index)
    const digit = code >= 0x30 && code <= 0x39
      ? code - 0x30
      : code >= 0x61 && code <= 0x66
      ? code - 0x57
      : code >= 0x41 && code <= 0x46
      ? code - 0x37
      : -1
    if (digit === -1) return -1
    word = word * 16 + digit
  }
  return word
}

const printIPv6 = (words: ReadonlyArray<number>): string => {
  const [w0, w1, w2, w3, w4, w5, w6 = 0, w7 = 0] = words
  if (w5 === 0xffff && w0 === 0 && w1 === 0 && w2 === 0 && w3 === 0 && w4 === 0) {
    return `::ffff:${w6 >> 8}.${w6 & 255}.${w7 >> 8}.${w7 & 255}`
  }
  const gap = longestZeroRun(words)
  const gapEnd = gap.start + gap.length
  let text = ""
  for (let index = 0; index < 8; index++) {
    if (index >= gap.start && index < gapEnd) {
      if (index === gap.start) text += "::"
    } else {
      text += index === 0 || index === gapEnd ? hex(words[index]) : `:${hex(words[index])}`
    }
  }
  return text
}

const hex = (word: number | undefined): string => (word ?? 0).toString(16)

const NO_RUN = { start: 8, length: 0 }

/** RFC 5952 section 4.2: the longest run of zero words, the first of equals, never a single word. */
const longestZeroRun = (words: ReadonlyArray<number>): { readonly start: number; readonly length: number } => {
  let longest = NO_RUN
  let start = -1
  for (let index = 0; index <= 8; index++) {
    if (words[index] === 0) {
      if (start === -1) start = index
    } else if (start !== -1) {
      const length = index - start
      if (length >= 2 && length > longest.length) longest = { start, length }
      start = -1
    }
  }
  return longest
}
