import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect } from "effect"
import { runProgram } from "./fixtures/RunningProgram.ts"

const BothGenerations = Api.layerWith({ environment: { API_GENERATIONS: "1,2" } })

const environmentOf = Effect.map(Api, ({ baseUrl, token }) => ({
  CLOUDFLARE_BASE_URL: baseUrl,
  CLOUDFLARE_API_TOKEN: token
}))

layer(BothGenerations, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions api and export", (it) => {
  it.effect("does by hand what the API does, and prints its answer", () =>
    Effect.gen(function*() {
      const environment = yield* environmentOf
      const zone = yield* uniqueZoneId
      const run = (...args: ReadonlyArray<string>) => runProgram({ args, environment })
      const created = yield* run("api", "create", zone, "2001:0DB8::0001", "aws", "us-east-1", "--json")
      assert.deepStrictEqual([created.code, created.stderr], [0, ""])
      assert.deepInclude(JSON.parse(created.stdout), { zone_id: zone, origin_ip: "2001:db8::1", region: "us-east-1" })

      const again = yield* run("api", "create", zone, "2001:db8::1", "aws", "us-east-1", "--json")
      assert.strictEqual(again.code, 1)
      assert.deepInclude(JSON.parse(again.stdout).error, { name: "AlreadyExists", code: 1145 })
      assert.match(again.stderr, /already exists.*\(code 1145\)\n$/)

      const upserted = yield* run("api", "upsert", zone, "192.0.2.1", "gcp", "europe-west1")
      assert.match(upserted.stdout, new RegExp(`^${zone}/192\\.0\\.2\\.1 +gcp +europe-west1 +2\\S+Z\\n$`))
      const got = yield* run("api", "get", zone, "192.0.2.1")
      assert.deepStrictEqual(got, upserted)

      const lists = yield* Effect.forEach(["1", "2"], (API_GENERATION) =>
        runProgram({ args: ["api", "list", zone], environment: { ...environment, API_GENERATION } }))
      for (const { code, stdout } of lists) {
        assert.strictEqual(code, 0)
        assert.sameMembers(
          stdout.trim().split("\n").map((line) =>
            line.split(/ +/)[0]
          ),
          [
            `${zone}/192.0.2.1`,
            `${zone}/2001:db8::1`
          ]
        )
      }

      const exported = yield* run("export", zone, "--format", "csv")
      assert.deepStrictEqual([exported.code, exported.stderr], [0, ""])
      const rows = exported.stdout.trim().split("\n").map((line) => line.split(",").slice(0, 4).join(","))
      assert.sameMembers(rows, [
        "zone_id,ip,vendor,region",
        `${zone},192.0.2.1,gcp,europe-west1`,
        `${zone},2001:db8::1,aws,us-east-1`
      ])

      assert.strictEqual((yield* run("api", "delete", zone, "192.0.2.1")).stdout, upserted.stdout)
      const gone = yield* run("api", "delete", zone, "192.0.2.1")
      assert.deepStrictEqual([gone.code, gone.stdout], [1, ""])
      const regions = yield* run("api", "supported-regions", zone)
      assert.match(regions.stdout, /^aws +us-east-1( |$)/m)
    }))

  it.effect("says what is wrong with the credential, the address and the settings", () =>
    Effect.gen(function*() {
      const environment = yield* environmentOf
      const refused = yield* runProgram({
        args: ["export", "demo-shop"],
        environment: { ...environment, CLOUDFLARE_API_TOKEN: "nobody" }
      })
      assert.deepStrictEqual([refused.code, refused.stdout], [1, ""])
      assert.match(refused.stderr, /\(code 10000\)\nSet CLOUDFLARE_API_TOKEN to one that may .*\n$/)
      const unset = yield* runProgram({ args: ["api", "get", "demo-shop", "192.0.2.1"] })
      assert.deepStrictEqual([unset.code, unset.stderr.includes("CLOUDFLARE_API_TOKEN")], [2, true])
      const wrong = yield* runProgram({ args: ["api", "get", "demo-shop", "192.0.2.256"], environment })
      assert.strictEqual(wrong.code, 2)
    }))
})
