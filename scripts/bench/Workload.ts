import { requestRecord } from "@origin-regions/domain/MappingRequest"
import { requestTypes } from "@origin-regions/domain/Operation"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { seededChoices } from "@origin-regions/testkit/SeededChoices"

/** How requests spread over addresses: evenly by chance, a few addresses with most of them, or each with its own. */
export const distributions = ["uniform", "skewed", "distinct"] as const

export type Distribution = (typeof distributions)[number]

/** One request of a benchmark. */
export interface BenchRequest {
  /** Becomes its id. */
  readonly number: number
  readonly address: number
  /** How many requests of the same address come before it. Becomes the end of its region. */
  readonly turn: number
}

/** The exponent of Zipf's law; with 1, a tenth of all requests would be for one address, and nothing could do them side by side. */
const SKEW = 0.6

/** As many whole numbers below `limit` as are asked for, the low ones more often. */
const skewed = (limit: number, random: () => number): () => number => {
  let sum = 0
  const sums = Float64Array.from({ length: limit }, (_, rank) => sum += (rank + 1) ** -SKEW)
  return () => {
    const wanted = random() * sum
    let [low, high] = [0, limit - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? sum) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

const PRECISION = 2 ** 32

/** Requests in the order of their numbers; the same ones each time. */
export const drawRequests = (
  distribution: Distribution,
  requests: number,
  addresses: number
): ReadonlyArray<BenchRequest> => {
  const { below } = seededChoices("npm run bench")
  const rank = skewed(addresses, () => below(PRECISION) / PRECISION)
  const turns = new Map<number, number>()
  return Array.from({ length: requests }, (_, number) => {
    const address = distribution === "distinct" ? number : distribution === "skewed" ? rank() : below(addresses)
    const turn = turns.get(address) ?? 0
    turns.set(address, turn + 1)
    return { number, address, turn }
  })
}

/** Requests in a second that one call at a time for each address allows at most, where a call takes so many milliseconds. */
export const keyLimit = (requests: ReadonlyArray<BenchRequest>, latency: number): number => {
  const longest = requests.reduce((most, { turn }) => Math.max(most, turn + 1), 1)
  return requests.length / (longest * latency / 1000)
}

/** The record of a request as an emitter writes it. */
export const recordOf = ({ address, number, turn }: BenchRequest): OutgoingRecord =>
  requestRecord({
    specversion: "1.0",
    id: String(number),
    source: "/bench",
    type: requestTypes.upsert,
    data: {
      zone_id: ZoneId.make(`zone-${address % 16}`),
      ip: OriginIp.make(`10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`),
      vendor: Vendor.make("aws"),
      region: Region.make(`region-${turn}`)
    }
  })
