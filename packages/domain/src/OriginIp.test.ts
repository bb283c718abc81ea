import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { NetAddress } from "effect/net"
import { isIP, SocketAddress } from "node:net"
import { canonicalize, IpText, OriginIp } from "./OriginIp.ts"
import { vectors } from "./OriginIp.vectors.ts"

describe("canonicalize", () => {
  it.each(vectors.map(([text, canonical]) => ({ text, canonical, shown: JSON.stringify(text) })))(
    "$shown is $canonical",
    ({ canonical, text }) => {
      assert.strictEqual(canonicalize(text) ?? null, canonical)
    }
  )

  it("knows the vectors' canonical forms as OriginIp, and only those", () => {
    const isOriginIp = Schema.is(OriginIp)
    const isIpText = Schema.is(IpText)
    for (const [text, canonical] of vectors) {
      assert.strictEqual(isOriginIp(text), canonical === text, JSON.stringify(text))
      assert.strictEqual(isIpText(text), canonical !== null, JSON.stringify(text))
    }
  })
})

/** Mostly zeros and small numbers, so that runs of zeros are common. */
const Word = Schema.Union([
  Schema.Literal(0),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 })),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
])
const Words = Schema.Tuple([Word, Word, Word, Word, Word, Word, Word, Word])
const Octet = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const Octets = Schema.Tuple([Octet, Octet, Octet, Octet])
const Prefix = Schema.Literals(["any", "any", "mapped", "compatible"])

type Words = ReadonlyArray<number>

const withPrefix = (words: Words, prefix: typeof Prefix.Type): Words =>
  prefix === "any" ? words : [0, 0, 0, 0, 0, prefix === "mapped" ? 0xffff : 0, ...words.slice(6)]

const styles = [1, 2, 3, 4].flatMap((digits) =>
  [false, true].flatMap((upperCase) =>
    [false, true].flatMap((dotted) =>
      // Which run of zeros becomes `::` (there is no fifth), and how many of its zeros stay.
      [0, 1, 2, 4].flatMap((run) => [0, 1].map((staying) => ({ digits, upperCase, dotted, run, staying })))
    )
  )
)

/** An IPv6 address in every style of RFC 4291 section 2.2. */
const spellings = (words: Words): ReadonlySet<string> =>
  new Set(styles.map(({ digits, dotted, run: runIndex, staying, upperCase }) => {
    const fields = words.map((word) => {
      const text = word.toString(16).padStart(digits, "0")
      return upperCase ? text.toUpperCase() : text
    })
    if (dotted) {
      const [high = 0, low = 0] = words.slice(6)
      fields.splice(6, 2, [high >> 8, high & 255, low >> 8, low & 255].join("."))
    }
    const run = zeroRuns(words.slice(0, dotted ? 6 : 8))[runIndex]
    if (run === undefined || run.length <= staying) return fields.join(":")
    const end = run.start + run.length - staying
    return `${fields.slice(0, run.start).join(":")}::${fields.slice(end).join(":")}`
  }))

const zeroRuns = (words: Words): ReadonlyArray<{ readonly start: number; readonly length: number }> =>
  [...words.map((word) => word === 0 ? "0" : "x").join("").matchAll(/0+/g)]
    .map((match) => ({ start: match.index, length: match[0].length }))

const characters = [..."0189afgAFG:.%/x+- \n\0\u0663"]

/** Every text that has one character more, less, or another. Many are addresses still. */
const nearMisses = (text: string): ReadonlySet<string> => {
  const misses = new Set<string>()
  for (let index = 0; index <= text.length; index++) {
    const before = text.slice(0, index)
    const after = text.slice(index + 1)
    misses.add(before + after)
    misses.add(before + text.charAt(index) + text.slice(index))
    for (const character of characters) {
      misses.add(before + character + text.slice(index))
      misses.add(before + character + after)
    }
  }
  return misses
}

const byEffect = (text: string): string | undefined =>
  Result.match(NetAddress.ipFromString(text), { onSuccess: NetAddress.formatIp, onFailure: () => undefined })

/** Node takes zone ids, which mean nothing on another host. */
const byNode = (text: string): string | undefined => {
  const family = isIP(text)
  if (family === 0 || text.includes("%")) return undefined
  return new SocketAddress({ address: text, family: family === 4 ? "ipv4" : "ipv6" }).address
}

/** Node prints the deprecated IPv4-compatible addresses with a dotted tail, which RFC 5952 keeps for those with a known prefix. */
const isIPv4Compatible = (canonical: string | undefined): boolean => /^::([0-9a-f]+:)?[0-9a-f]+$/.test(canonical ?? "")

const agrees = (text: string): void => {
  const canonical = canonicalize(text)
  const nodes = byNode(text)
  const others = {
    effect: byEffect(text),
    node: nodes !== undefined && isIPv4Compatible(canonical) ? canonicalize(nodes) : nodes,
    canonicalAgain: canonical === undefined ? undefined : canonicalize(canonical)
  }
  if (Object.values(others).some((other) => other !== canonical)) {
    assert.fail(`${JSON.stringify(text)} is ${canonical} to us, but ${JSON.stringify(others)}`)
  }
}

/** Some 150,000 texts in all. What fails is shown with a token that replays it. */
describe("two independent implementations agree with canonicalize", () => {
  it.prop("on IPv4 addresses", [Octets], ([octets]) => {
    const text = octets.join(".")
    assert.strictEqual(canonicalize(text), text)
    agrees(text)
  }, { arbitrary: { runs: 1000 } })

  it.prop("on IPv6 addresses in every style", [Words, Prefix], ([words, prefix]) => {
    const canonicals = new Set<string | undefined>()
    for (const text of spellings(withPrefix(words, prefix))) {
      agrees(text)
      canonicals.add(canonicalize(text))
    }
    assert.strictEqual(canonicals.size, 1)
    assert.isFalse(canonicals.has(undefined))
  }, { arbitrary: { runs: 1500 } })

  it.prop("on what is nearly an address", [Words, Prefix, Octets], ([words, prefix, octets]) => {
    const [spelling = ""] = spellings(withPrefix(words, prefix))
    for (const text of nearMisses(spelling)) agrees(text)
    for (const text of nearMisses(octets.join("."))) agrees(text)
  }, { arbitrary: { runs: 80 } })
})
