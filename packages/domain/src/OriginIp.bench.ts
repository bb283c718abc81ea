/** How many addresses one core brings into canonical form in a second of its time, on a mix as origins have it. */
import { Console, Effect, Random } from "effect"
import { canonicalize } from "./OriginIp.ts"

const TARGET = 1_000_000
const ADDRESSES = 10_000
const ROUNDS = 5
const ROUND = 1_000_000

const below = (limit: number) => Random.nextIntBetween(0, limit)
const ipv4 = Effect.map(Effect.all([below(256), below(256), below(256), below(256)]), (octets) => octets.join("."))
const word = Effect.map(below(0x1_0000), (number) => number.toString(16))

/** 80% IPv4, 15% IPv6 in several spellings, 5% IPv4-mapped or no address. */
const address = Effect.gen(function*() {
  const kind = yield* below(100)
  if (kind < 80) return yield* ipv4
  const words = yield* Effect.all(Array.from({ length: 8 }, () => word))
  if (kind < 85) return `2001:db8::${words[6]}:${words[7]}`
  if (kind < 90) return words.map((text) => text.padStart(4, "0")).join(":")
  if (kind < 95) return words.join(":").toUpperCase()
  if (kind < 98) return `::ffff:${yield* ipv4}`
  return kind < 99 ? `${yield* ipv4}:443` : `${yield* ipv4}.example.com`
})

/** Processor time, so that the figure does not depend on what else the machine does. */
const round = (addresses: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.sync(() => {
    const start = process.cpuUsage()
    let found = 0
    for (let done = 0; done < ROUND; done += addresses.length) {
      for (const text of addresses) if (canonicalize(text) !== undefined) found += 1
    }
    const { system, user } = process.cpuUsage(start)
    return found === 0 ? 0 : ROUND / ((user + system) / 1e6)
  })

const main = Effect.gen(function*() {
  const addresses = yield* Effect.all(Array.from({ length: ADDRESSES }, () => address))
  const rates = yield* Effect.all(Array.from({ length: ROUNDS }, () => round(addresses)))
  const best = Math.max(...rates)
  const shown = rates.map((rate) => (rate / 1e6).toFixed(2)).join(", ")
  yield* Console.log(
    `OriginIp.canonicalize: ${(best / 1e6).toFixed(2)} million/s on one core (rounds: ${shown}), target ${TARGET / 1e6}`
  )
  return best
}).pipe(Random.withSeed("origin-regions"))

const best = await Effect.runPromise(main)
if (best < TARGET) process.exitCode = 1
