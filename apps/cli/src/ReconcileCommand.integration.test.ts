import { assert, layer } from "@effect/vitest"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect } from "effect"
import { fillZone } from "./fixtures/FilledZone.ts"
import { runProgram } from "./fixtures/RunningProgram.ts"
import { readRecords, Surroundings, surroundings } from "./fixtures/Surroundings.ts"

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions reconcile", (it) => {
  it.effect("shows how a zone differs, deletes only with --prune, and has it become what it should be", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const zone = yield* uniqueZoneId
      yield* fillZone(zone, 4)
      const stdin = [
        "operation,zone_id,ip,vendor,region",
        `upsert,${zone},10.0.0.0,aws,us-east-1`,
        `upsert,${zone},10.0.0.1,gcp,europe-west1`,
        `upsert,${zone},2001:DB8::1,aws,eu-west-1`,
        "upsert,of-others,192.0.2.1,aws,us-east-1"
      ].join("\n")
      const reconcile = (...args: ReadonlyArray<string>) =>
        runProgram({ args: ["reconcile", zone, "--from", "-", "--format", "csv", ...args], environment, stdin })

      const shown = yield* reconcile()
      assert.deepStrictEqual(shown.stdout.split("\n"), [
        `~ update  ${zone}/10.0.0.1  aws us-east-1 → gcp europe-west1`,
        `+ create  ${zone}/2001:db8::1  aws eu-west-1`,
        "1 to create, 1 to update, 0 to delete, 1 as they should be.",
        "2 more that the file does not name are left alone (--prune deletes them): 10.0.0.2, 10.0.0.3",
        ""
      ])
      const problem = `2 mappings differ. With --apply the zone ${zone} is asked to be as it should.\n`
      assert.deepStrictEqual([shown.code, shown.stderr], [1, problem])
      const ends = yield* KafkaAdmin.use(({ endOffsets }) => endOffsets(environment.REQUESTS_TOPIC))
      assert.strictEqual(ends.get(0), 0)

      const applied = yield* reconcile("--prune", "--apply", "--json")
      assert.deepStrictEqual([applied.code, applied.stderr], [0, ""])
      assert.deepInclude(JSON.parse(applied.stdout), {
        create: 1,
        update: 1,
        delete: 2,
        unchanged: 1,
        sent: 4,
        left_alone: []
      })
      yield* Consumer.start(environment)
      yield* readRecords(environment.OUTCOMES_TOPIC, 4)
      const settled = yield* reconcile("--prune")
      assert.deepStrictEqual([settled.code, settled.stderr], [0, ""])
      assert.strictEqual(settled.stdout, "0 to create, 0 to update, 0 to delete, 3 as they should be.\n")
    }))

  it.effect("compares nothing with a file that is wrong, or names nothing of the zone, and sends nothing that is refused", () =>
    Effect.gen(function*() {
      const environment = yield* surroundings
      const zone = yield* uniqueZoneId
      const reconcile = (stdin: string) =>
        runProgram({ args: ["reconcile", zone, "--from", "-", "--prune", "--apply"], environment, stdin })
      const wrong = yield* reconcile("{\"ip\":\"192.0.2.1\",\"vendor\":\"AWS\",\"region\":\"us-east-1\"}\nno JSON\n")
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.deepStrictEqual(wrong.stderr.split("\n"), [
        "line 1: vendor must be one of aws, azure, gcp, oci, not \"AWS\"",
        "line 2: the line is not JSON",
        "Nothing was compared: correct this.",
        ""
      ])
      const nothing = yield* reconcile(
        "{\"zone_id\":\"other\",\"ip\":\"192.0.2.1\",\"vendor\":\"aws\",\"region\":\"us-east-1\"}"
      )
      assert.strictEqual(nothing.code, 2)
      assert.match(
        nothing.stderr,
        /^The standard input names no mapping of the zone \S+, and 1 of others: nothing was compared\.\n$/
      )
      const refused = yield* reconcile("{\"ip\":\"192.0.2.1\",\"vendor\":\"aws\",\"region\":\"us-nowhere-9\"}")
      assert.deepStrictEqual([refused.code, refused.stderr], [
        1,
        "1 of 1 requests would be refused. Nothing was sent.\n"
      ])
    }))
})
