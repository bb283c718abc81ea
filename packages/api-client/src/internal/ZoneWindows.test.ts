import { assert, describe, it } from "@effect/vitest"
import type { Mapping } from "@origin-regions/domain/Mapping"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { type Page, PAGE_SIZE, pagesAfter, pictureOf, type ZoneWindow } from "./ZoneWindows.ts"

const zone_id = ZoneId.make("zone")
const addresses = Array.from({ length: 1_200 }, (_, index) => OriginIp.make(`10.0.${index >> 8}.${index & 255}`))
const mappingOf = (origin_ip: OriginIp): Mapping => ({
  zone_id,
  origin_ip,
  vendor: "aws",
  region: "us-east-1",
  modified_on: null
})

type Order = "by address" | "as they came"

/** A zone in which others create and delete; it remembers what was there at each read. */
const makeZone = (order: Order, choices: Choices, filling: number) => {
  const present = new Set<OriginIp>()
  /** At which reads it was not there. */
  const missing = new Map<OriginIp, number>(addresses.map((address) => [address, 0]))
  const change = () => {
    const address = choices.pick(addresses) ?? assert.fail("there are addresses")
    if (!present.delete(address)) present.add(address)
  }
  while (present.size < filling) present.add(choices.pick(addresses) ?? assert.fail("there are addresses"))
  const sorted = () => order === "by address" ? [...present].toSorted() : [...present]
  const read = ({ page, perPage }: Page): ZoneWindow => {
    for (const address of addresses) if (!present.has(address)) missing.set(address, (missing.get(address) ?? 0) + 1)
    const mappings = sorted().slice((page - 1) * perPage, page * perPage).map(mappingOf)
    return { page, perPage, total: present.size, mappings }
  }
  return {
    read,
    /** Something that others do between two reads: nothing, or a little, or a lot. */
    others: () => {
      for (let count = choices.pick([0, 0, 1, 3, 20]) ?? 0; count > 0; count--) change()
    },
    wasMissing: (address: OriginIp) => missing.get(address) !== 0
  }
}

const shuffled = <A>(items: ReadonlyArray<A>, choices: Choices) =>
  items.map((item) => [choices.below(1_000_000), item] as const).toSorted(([one], [other]) => one - other).map((
    [, item]
  ) => item)

const look = (zone: ReturnType<typeof makeZone>, choices: Choices) => {
  const windows = [zone.read({ page: 1, perPage: PAGE_SIZE })]
  const [first] = windows
  if (first === undefined) return assert.fail("it was read")
  for (const page of shuffled(pagesAfter(first, 100) ?? [], choices)) {
    zone.others()
    windows.push(zone.read(page))
  }
  return { windows, picture: pictureOf(windows) }
}

describe("Windows of a zone", () => {
  it("never say that nothing is there where something was all the time, whatever others do between two of them", () => {
    let unknown = 0
    let absent = 0
    for (const order of ["by address", "as they came"] as const) {
      forSeeds(150, (choices) => {
        const zone = makeZone(order, choices, choices.below(700))
        const { picture } = look(zone, choices)
        for (const address of addresses) {
          const told = picture(address)
          if (told === undefined) unknown += 1
          if (told !== null) continue
          absent += 1
          assert.isTrue(zone.wasMissing(address), `${order}: ${address} is missed`)
        }
      })
    }
    assert.isAbove(absent, unknown / 2)
    assert.isAbove(unknown, 0)
  })

  it("would miss some if they were pages whose parts in between count as well", () => {
    let missed = 0
    forSeeds(50, (choices) => {
      const zone = makeZone("by address", choices, 700)
      const pages = Array.from({ length: 8 }, (_, index) => ({ page: index + 1, perPage: PAGE_SIZE }))
      const found = new Set<OriginIp>()
      for (const page of pages) {
        for (const { origin_ip } of zone.read(page).mappings) found.add(origin_ip)
        zone.others()
      }
      for (const address of addresses) if (!found.has(address) && !zone.wasMissing(address)) missed += 1
    })
    assert.isAbove(missed, 0)
  })

  it("tell of every address where nobody else does anything", () => {
    forSeeds(50, (choices) => {
      const zone = makeZone("by address", choices, choices.below(1_200))
      const first = zone.read({ page: 1, perPage: PAGE_SIZE })
      const windows = [first, ...(pagesAfter(first, 100) ?? []).map(zone.read)]
      const picture = pictureOf(windows)
      for (const address of addresses) assert.strictEqual(picture(address) === null, zone.wasMissing(address))
      assert.isAtMost(windows.length, 1 + Math.ceil(first.total / 90))
    })
  })

  it("are one where all fits into it, whatever its order", () => {
    forSeeds(20, (choices) => {
      const zone = makeZone("as they came", choices, choices.below(PAGE_SIZE + 1))
      const picture = pictureOf([zone.read({ page: 1, perPage: PAGE_SIZE })])
      for (const address of addresses) assert.strictEqual(picture(address) === null, zone.wasMissing(address))
    })
  })

  it("are not wanted where they would be more than they may, or are in no order that is known", () => {
    forSeeds(10, (choices) => {
      const ordered = makeZone("by address", choices, 700).read({ page: 1, perPage: PAGE_SIZE })
      assert.isDefined(pagesAfter(ordered, 8))
      assert.isUndefined(pagesAfter(ordered, 5))
      assert.isUndefined(pagesAfter({ ...ordered, total: 1e15 }, 100))
      assert.isUndefined(pagesAfter({ ...ordered, mappings: ordered.mappings.slice(1) }, 8))
      const disordered = makeZone("as they came", choices, 700).read({ page: 1, perPage: PAGE_SIZE })
      assert.isUndefined(pagesAfter(disordered, 8))
    })
  })
})
