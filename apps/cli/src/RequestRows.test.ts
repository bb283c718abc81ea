import { assert, describe, it } from "@effect/vitest"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { Effect, Stream } from "effect"
import { readFileSync } from "node:fs"
import { formatOf, requestRows, type RowFormat } from "./RequestRows.ts"

const encoder = new TextEncoder()

const defaults = {
  operation: "upsert",
  source: "/test",
  time: "2026-11-24T12:00:00Z",
  expires: undefined,
  id: "run"
} as const

const example = (name: string) => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), "utf8")

/** Read from pieces that end anywhere, within characters too. */
const rowsOf = (format: RowFormat, text: string) => {
  const bytes = encoder.encode(text)
  const pieces = Array.from(
    { length: Math.ceil(bytes.length / 7) },
    (_, piece) => bytes.slice(piece * 7, piece * 7 + 7)
  )
  return Stream.runCollect(requestRows(format, Stream.fromIterable(pieces), defaults))
}

const asked = (text: string) => {
  const { event, verdict } = readRequest({ value: encoder.encode(text), headers: [] })
  if (verdict._tag !== "Apply") return [event.id, verdict._tag]
  const { change } = verdict
  const mapping = change.operation === "delete" ? [] : [change.vendor, change.region]
  return [event.id, change.operation, change.zoneId, change.originIp, ...mapping]
}

const problemsOf = Effect.fnUntraced(function*(format: RowFormat, text: string) {
  return (yield* rowsOf(format, text)).flatMap(({ place, problems }) =>
    problems().map((problem) => `${place}: ${problem}`)
  )
})

describe("requestRows", () => {
  it.effect("makes requests of rows in JSON, and leaves events as they are, whatever ends the lines", () =>
    Effect.gen(function*() {
      const event = JSON.stringify({
        specversion: "1.0",
        id: "é",
        source: "/s",
        type: "dev.origin-regions.mapping.delete.v1",
        extension: "kept",
        data: { zone_id: "demo-shop", ip: "192.0.2.1" }
      })
      const rows = yield* rowsOf(
        "jsonl",
        `\uFEFF{"zone_id":"demo-shop","ip":"2001:DB8::1","vendor":"aws","region":"us-east-1"}\r\n\n   \n${event}\n`
          + "{\"operation\":\"create\",\"id\":\"own\",\"zone_id\":\"z\",\"origin_ip\":\"::1\",\"vendor\":\"oci\",\"region\":\"r\"}\n"
      )
      assert.deepStrictEqual(rows.map(({ number, place, text }) => [number, place, ...asked(text)]), [
        [1, "line 1", "run-1", "upsert", "demo-shop", "2001:db8::1", "aws", "us-east-1"],
        [4, "line 4", "é", "delete", "demo-shop", "192.0.2.1"],
        [5, "line 5", "own", "create", "z", "::1", "oci", "r"]
      ])
      assert.strictEqual(rows[1]?.text, event)
      assert.deepStrictEqual(rows.flatMap(({ problems }) => problems()), [])
    }))

  it.effect("makes requests of a table, by the names in its first line", () =>
    Effect.gen(function*() {
      const rows = yield* rowsOf("csv", example("rows.csv"))
      assert.deepStrictEqual(rows.map(({ place, text }) => [place, ...asked(text)]), [
        ["line 2", "run-2", "upsert", "demo-shop", "192.0.2.110", "aws", "us-east-1"],
        ["line 3", "run-3", "upsert", "demo-shop", "2001:db8::110", "gcp", "europe-west1"],
        ["line 4", "run-4", "upsert", "demo-blog", "192.0.2.111", "azure", "westeurope"],
        ["line 5", "run-5", "delete", "demo-blog", "192.0.2.199"]
      ])
      const [spelled] = yield* rowsOf(
        "csv",
        "\uFEFFNote, Region ,VENDOR,origin_ip,zone_id\r\n\"a, \"\"b\"\"\",r,aws,::1,z\r\n"
      )
      assert.deepStrictEqual(asked(spelled?.text ?? ""), ["run-2", "upsert", "z", "::1", "aws", "r"])
    }))

  it.effect("takes the mappings of a Terraform state, wherever they are in it, and nothing else", () =>
    Effect.gen(function*() {
      const rows = yield* rowsOf("terraform", example("terraform.tfstate"))
      assert.deepStrictEqual(rows.map(({ place, text }) => [place, ...asked(text)]), [
        [
          "cloudflare_origin_cloud_region.web[\"192.0.2.120\"]",
          "run-1",
          "upsert",
          "demo-shop",
          "192.0.2.120",
          "aws",
          "us-east-1"
        ],
        [
          "cloudflare_origin_cloud_region.web[\"2001:db8::120\"]",
          "run-2",
          "upsert",
          "demo-shop",
          "2001:db8::120",
          "gcp",
          "us-central1"
        ]
      ])
      const attributes = { zone_id: "z", origin_ip: "::1", vendor: "aws", region: "r" }
      const resource = {
        mode: "managed",
        type: "cloudflare_origin_cloud_region",
        name: "n",
        instances: [{ attributes }]
      }
      const state = {
        version: 4,
        resources: [
          { ...resource, mode: "data" },
          { ...resource, type: "cloudflare_zone" },
          { ...resource, module: "module.origins" },
          { ...resource, instances: [{ index_key: 0, attributes: null }] }
        ]
      }
      const others = yield* rowsOf("terraform", JSON.stringify(state))
      assert.deepStrictEqual(others.map(({ place, problems }) => [place, problems().length]), [
        ["module.origins.cloudflare_origin_cloud_region.n", 0],
        ["cloudflare_origin_cloud_region.n[0]", 4]
      ])
    }))

  it.effect("says of every line what is wrong with it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* problemsOf(
          "jsonl",
          "{\"zone_id\":\"z\",\"ip\":5,\"vendor\":\"aws\",\"region\":\"r\"}\n\n{\"operation\":\"remove\",\"zone_id\":\"z\",\"ip\":\"::1\"}\n{\n"
        ),
        [
          "line 1: ip must be an IPv4 or IPv6 address, not 5",
          "line 3: operation must be one of create, upsert, delete, not \"remove\"",
          "line 4: the line is not JSON"
        ]
      )
      assert.deepStrictEqual(
        (yield* problemsOf(
          "csv",
          "zone_id,ip,vendor,region\nz,::1,aws,r\nz,::1\nz,::1,AWS,r\nz,a\"b,aws,r\n\"z,::1,aws,r\n"
        ))
          .map((problem) => problem.slice(0, 44)),
        [
          "line 3: it has 2 fields, and the first line names 4".slice(0, 44),
          "line 4: vendor must be one of aws, azure, gcp",
          "line 5: a quote is in the middle of a field:",
          "line 6: a quote opens here that is not closed"
        ].map((problem) => problem.slice(0, 44))
      )
    }))

  it.effect("gives what must not be taken for another operation a type that there is not", () =>
    Effect.gen(function*() {
      const [row] = yield* rowsOf(
        "jsonl",
        "{\"operation\":\"remove\",\"zone_id\":\"z\",\"ip\":\"::1\",\"vendor\":\"aws\",\"region\":\"r\"}"
      )
      assert.deepStrictEqual(asked(row?.text ?? ""), ["run-1", "Malformed"])
    }))

  it.effect.each<readonly [RowFormat, string, RegExp]>([
    ["csv", "zone,address\nz,::1\n", /does not name zone_id and ip$/],
    ["csv", "zone_id;ip\nz;::1\n", /semicolons between them: save it with commas$/],
    ["terraform", "{\"version\":3}", /no Terraform state of version 4$/],
    ["terraform", "", /no Terraform state of version 4$/]
  ])("fails where a file is no %s", ([format, text, expected]) =>
    Effect.gen(function*() {
      assert.match((yield* Effect.flip(rowsOf(format, text))).message, expected)
    }))
})

describe("formatOf", () => {
  it("goes by the name's end", () => {
    assert.deepStrictEqual(["a.csv", "a.tfstate", "a.jsonl", "-"].map(formatOf), ["csv", "terraform", "jsonl", "jsonl"])
  })
})
