import { assert, describe, it } from "@effect/vitest"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect, Stream } from "effect"
import { DesiredZone } from "./DesiredZone.ts"
import { requestRows } from "./RequestRows.ts"

const defaults = {
  operation: "upsert",
  source: "/s",
  time: "2026-11-28T12:00:00Z",
  expires: undefined,
  id: "id"
} as const

/** What JSON lines make of the zone `zone`. */
const desiredBy = Effect.fnUntraced(function*(...rows: ReadonlyArray<Readonly<Record<string, unknown>> | string>) {
  const text = rows.map((row) => typeof row === "string" ? row : JSON.stringify(row)).join("\n")
  const desired = new DesiredZone(ZoneId.make("zone"))
  yield* Stream.runForEach(
    requestRows("jsonl", Stream.make(new TextEncoder().encode(text)), defaults),
    (row) => Effect.sync(() => desired.add(row))
  )
  return desired
})

const cloud = { vendor: "aws", region: "us-east-1" }

describe("What a zone should have", () => {
  it.effect("is what the rows of the zone say, and those of none, by address", () =>
    Effect.gen(function*() {
      const { mappings, others, problems } = yield* desiredBy(
        { zone_id: "zone", ip: "2001:DB8::0:1", ...cloud },
        { origin_ip: "192.0.2.1", vendor: "gcp", region: "europe-west1" },
        { zone_id: "other", ip: "192.0.2.1", ...cloud },
        { zone_id: "zone", ip: "2001:db8::1", ...cloud },
        {
          specversion: "1.0",
          id: "id",
          source: "/s",
          type: "dev.origin-regions.mapping.create.v1",
          data: { ip: "192.0.2.3", ...cloud }
        }
      )
      assert.deepStrictEqual([problems, others], [[], 1])
      assert.deepStrictEqual([...mappings].map(([ip, { region, vendor }]) => [ip, vendor, region]), [
        ["2001:db8::1", "aws", "us-east-1"],
        ["192.0.2.1", "gcp", "europe-west1"],
        ["192.0.2.3", "aws", "us-east-1"]
      ])
    }))

  it.effect("has no rows that cannot be meant", () =>
    Effect.gen(function*() {
      const { mappings, problems } = yield* desiredBy(
        "no JSON",
        { ip: "192.0.2.256", ...cloud },
        { ip: "192.0.2.1", vendor: "aws" },
        { operation: "delete", ip: "192.0.2.1" },
        { operation: "move", ip: "192.0.2.1", ...cloud },
        { ip: "192.0.2.2", ...cloud },
        { ip: "192.0.2.2", vendor: "gcp", region: "us-east-1" },
        { zone_id: 7, ip: "192.0.2.2", ...cloud }
      )
      assert.deepStrictEqual(problems.map((problem) => problem.slice(0, 50)), [
        "line 1: the line is not JSON",
        "line 2: ip must be an IPv4 or IPv6 address, not \"1",
        "line 3: region is missing: it must be a cloud's na",
        "line 4: a delete: leave out what should not be the",
        "line 5: type must be one of dev.origin-regions.map",
        "line 7: 192.0.2.2 is aws us-east-1 at line 6",
        "line 8: zone_id must be 1 to 32 characters of A-Z "
      ])
      assert.strictEqual(mappings.size, 1)
    }))
})
