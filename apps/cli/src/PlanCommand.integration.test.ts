import { assert, layer } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect } from "effect"
import { fillZone } from "./fixtures/FilledZone.ts"
import { runProgram } from "./fixtures/RunningProgram.ts"
import { readRecords, Surroundings, surroundings } from "./fixtures/Surroundings.ts"
import { requestTextRecord } from "./RequestText.ts"

const countOf = (topic: string) =>
  Effect.map(KafkaAdmin.use(({ endOffsets }) => endOffsets(topic)), (ends) => ends.get(0))

const linesOf = (stdout: string): ReadonlyArray<Record<string, unknown>> =>
  stdout.trimEnd().split("\n").map((line) => JSON.parse(line))

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions plan", (it) => {
  it.effect("says what a file would do, in either generation, sends nothing that would be refused, and all that would not", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const zone = yield* uniqueZoneId
      // More than a page of generation 2 has.
      yield* fillZone(zone, 130)
      const row = (operation: string, ip: string, region = "us-east-1") =>
        JSON.stringify({ operation, zone_id: zone, ip, vendor: "aws", region })
      const good = [
        row("upsert", "10.0.0.129"),
        row("upsert", "10.0.0.1", "eu-west-1"),
        row("create", "::1"),
        row("delete", "10.0.0.7")
      ]
      const bad = [row("create", "10.0.0.128"), row("create", "::1"), row("upsert", "::2", "us-nowhere-9"), "no JSON"]

      const stdin = [...good, ...bad].join("\n")
      for (const generation of ["1", "2"]) {
        const told = yield* runProgram({
          args: ["plan", "-", "--json", "--apply"],
          environment: { ...environment, API_GENERATION: generation },
          stdin
        })
        assert.deepStrictEqual([told.code, told.stderr], [1, "4 of 8 requests would be refused. Nothing was sent.\n"])
        const lines = linesOf(told.stdout)
        assert.deepStrictEqual(
          lines.slice(0, -1).map(({ code, effect, place }) => [place, effect, code]),
          [
            ["line 1", "unchanged", null],
            ["line 2", "update", null],
            ["line 3", "create", null],
            ["line 4", "delete", null],
            ["line 5", "conflict", "1145"],
            ["line 6", "conflict", "1145"],
            ["line 7", "invalid", "1157"],
            ["line 8", "invalid", "malformed_request"]
          ]
        )
        assert.deepInclude(lines.at(-1), { planned: 8, conflict: 2, invalid: 2, sent: 0 })
      }
      assert.strictEqual(yield* countOf(environment.REQUESTS_TOPIC), 0)

      const applied = yield* runProgram({ args: ["plan", "-", "--apply"], environment, stdin: good.join("\n") })
      assert.deepStrictEqual([applied.code, applied.stderr], [0, ""])
      assert.deepStrictEqual(applied.stdout.split("\n"), [
        `~ line 2  update  ${zone}/10.0.0.1  aws us-east-1 → aws eu-west-1`,
        `+ line 3  create  ${zone}/::1  aws us-east-1`,
        `- line 4  delete  ${zone}/10.0.0.7  was aws us-east-1`,
        "1 create, 1 update, 1 delete, 1 unchanged, 0 conflict, 0 invalid, 0 refused",
        `Sent 4 requests to ${environment.REQUESTS_TOPIC}.`,
        ""
      ])
      assert.strictEqual((yield* readRecords(environment.REQUESTS_TOPIC, 4)).length, 4)
    }))

  it.effect("says what requests of the topic would do, and what is wrong with the command line and the API", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const zone = yield* uniqueZoneId
      const topic = environment.REQUESTS_TOPIC
      const records = ["192.0.2.1", "192.0.2.2", "192.0.2.1"].map((ip, index) =>
        requestTextRecord(JSON.stringify({
          specversion: "1.0",
          id: `id-${index}`,
          source: "/test",
          type: "dev.origin-regions.mapping.create.v1",
          data: { zone_id: zone, ip, vendor: "gcp", region: "europe-west1" }
        }))
      )
      yield* KafkaProducer.use(({ send }) => send(records.map((record) => ({ topic, record }))))
      const told = yield* runProgram({ args: ["plan", "--topic-range", "0/0", "--topic-range", "0/1-99"], environment })
      assert.deepStrictEqual([told.code, told.stderr], [1, "1 of 3 requests would be refused. Nothing was sent.\n"])
      assert.match(told.stdout, /^\+ 0\/0 .*\n\+ 0\/1 .*\n! 0\/2 {2}conflict .* {2}1145: it has this very mapping\n/)

      const wrong = [
        [["plan", "--topic-range", "7"], /^--topic-range is "7": expected such as 3\/100-250\./],
        [["plan", "--topic-range", "0/3-9"], /^There is no request at 0\/3: there are offsets up to 2 in topic-/],
        [["plan", "--topic-range", "0/1", "--apply"], /^--apply goes with a file/]
      ] as const
      for (const [args, problem] of wrong) {
        const { code, stderr, stdout } = yield* runProgram({ args, environment })
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.match(stderr, problem)
      }
      const refused = yield* runProgram({
        args: ["plan", "--topic-range", "0/0"],
        environment: { ...environment, CLOUDFLARE_API_TOKEN: "a-token-that-nobody-knows" }
      })
      assert.strictEqual(refused.code, 1)
      assert.match(
        refused.stderr,
        /^Could not read the zone \S+: .*\nSet CLOUDFLARE_API_TOKEN to one that may read and edit the zone\.\n$/
      )
    }))
})
