import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, FileSystem, Layer, Option, Queue, Stream } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "./Command.ts"

const samples = readFileSync(NodePath.join(root, "examples/requests.jsonl"), "utf8").trim().split("\n").length

/** Data and topics of its own, on the shared broker. */
const environmentOfItsOwn = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  return {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    KAFKA_BROKERS: brokers.join(","),
    KAFKA_GROUP_ID: yield* uniqueGroup,
    REQUESTS_TOPIC: yield* uniqueTopic,
    OUTCOMES_TOPIC: yield* uniqueTopic,
    DEAD_LETTERS_TOPIC: yield* uniqueTopic,
    DATA_DIRECTORY: yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
  }
})

const start = Effect.fnUntraced(
  function*(args: ReadonlyArray<string>, environment: Effect.Success<typeof environmentOfItsOwn>) {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [NodePath.join(root, "scripts/start.ts"), ...args], {
          env: environment,
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const output = yield* Queue.unbounded<string>()
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk
      Queue.offerUnsafe(output, stdout)
    })
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk
    })
    const ended = Effect.callback<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>(
      (resume) => {
        child.once("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
      }
    )
    /** The output once it has this in it; fails the test if it ends without. */
    const outputWith = (text: string) =>
      Stream.fromQueue(output).pipe(
        Stream.filter((output) => output.includes(text)),
        Stream.runHead,
        Effect.map(Option.getOrThrow),
        Effect.raceFirst(
          Effect.flatMap(ended, ({ code, stderr }) => Effect.die(new Error(`It ended with ${code}:\n${stderr}`)))
        )
      )
    return { child, ended, outputWith }
  }
)

const once = (args: ReadonlyArray<string>, environment: Effect.Success<typeof environmentOfItsOwn>) =>
  Effect.scoped(Effect.flatMap(start(["--once", ...args], environment), ({ ended }) => ended))

const codesOf = (stdout: string) => {
  const outcomes = stdout.trimEnd().split("\n").map((line) =>
    Option.getOrThrow(readOutcome(new TextEncoder().encode(line)))
  )
  return new Map(outcomes.map(({ causationid, outcomecode }) => [causationid, outcomecode]))
}

const until = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.tap((met) => met ? Effect.void : Effect.sleep("50 millis")),
    Effect.repeat({ until: (met) => met })
  )

const isRefused = (url: string) =>
  Effect.promise(() => fetch(url).then((response) => response.arrayBuffer().then(() => false), () => true))

layer(Layer.merge(NodeServices.layer, KafkaBroker.layer), { excludeTestServices: true, timeout: "2 minutes" })(
  "npm start",
  (it) => {
    it.effect("gets every example its expected outcome, on empty data, on kept data, and on data made empty again", () =>
      Effect.gen(function*() {
        const environment = yield* environmentOfItsOwn
        const first = yield* once(["--json"], environment)
        assert.strictEqual(first.code, 0, first.stderr)
        assert.strictEqual(codesOf(first.stdout).size, samples)
        assert.deepStrictEqual([codesOf(first.stdout).get("ipv4"), codesOf(first.stdout).get("move-create")], [
          "created",
          "created"
        ])
        const second = yield* once(["--json"], environment)
        assert.strictEqual(second.code, 0, second.stderr)
        assert.deepStrictEqual([codesOf(second.stdout).get("ipv4"), codesOf(second.stdout).get("move-create")], [
          "1145",
          "1145"
        ])
        const fresh = yield* once(["--json", "--fresh"], environment)
        assert.strictEqual(fresh.code, 0, fresh.stderr)
        assert.strictEqual(codesOf(fresh.stdout).get("ipv4"), "created")
        assert.include(fresh.stderr, `All ${samples} outcomes are as expected.`)
      }))

    it.effect("prints a table, addresses that answer and next commands that work, and on Ctrl-C ends what it started", () =>
      Effect.gen(function*() {
        const environment = yield* environmentOfItsOwn
        const { child, ended, outputWith } = yield* start([], environment)
        const output = yield* outputWith("-- export demo-shop\n")
        assert.match(
          output,
          /✓ +ipv4 +create demo-shop\/192\.0\.2\.10 as aws us-east-1 +created: 192\.0\.2\.10 is aws us-east-1/
        )
        assert.notInclude(output, "✗")
        const addresses = [
          ...output.matchAll(/http:\/\/127\.0\.0\.1:\d+\/(docs|health|metrics)?(?=[,\s])/g)
        ]
          .map(([address]) => address)
        assert.strictEqual(addresses.length, 4, output)
        for (const address of addresses) {
          assert.strictEqual((yield* Effect.promise(() => fetch(address))).status, 200, address)
        }
        // What somebody copies, in a terminal that knows nothing but the names of this test's topics.
        const { HOME, OUTCOMES_TOPIC, PATH, REQUESTS_TOPIC } = environment
        const commands = output.split("\n").filter((line) => line.includes("npm run origin-regions -- "))
        assert.lengthOf(commands, 2, output)
        const came = commands.map((command) =>
          spawnSync("/bin/sh", ["-c", command.replace(" emit create ", " emit create --wait ")], {
            cwd: root,
            env: { HOME, PATH, OUTCOMES_TOPIC, REQUESTS_TOPIC, ENV_FILE: "/dev/null" },
            encoding: "utf8"
          })
        )
        assert.deepStrictEqual(came.map(({ status }) => status), [0, 0], came.map(({ stderr }) => stderr).join("\n"))
        assert.include(came[1]?.stdout, "{\"zone_id\":\"demo-shop\",\"ip\":\"192.0.2.44\"")

        const again = yield* once([], environment)
        assert.strictEqual(again.code, 1)
        assert.match(again.stderr, new RegExp(`^Process ${child.pid} works on .* already: end that npm start first`))

        child.kill("SIGINT")
        const { code, stderr } = yield* ended
        assert.deepStrictEqual([code, stderr.trimEnd().split("\n").at(-1)], [0, "Stopping…"])
        for (const address of addresses) assert.isTrue(yield* isRefused(address), address)
      }))

    it.effect("leaves nothing behind when it is killed", () =>
      Effect.gen(function*() {
        const { child, outputWith } = yield* start([], yield* environmentOfItsOwn)
        const output = yield* outputWith("npm run origin-regions -- emit create")
        const addresses = output.match(/http:\/\/127\.0\.0\.1:\d+\/(docs|metrics)/g) ?? []
        assert.strictEqual(addresses.length, 2)
        child.kill("SIGKILL")
        for (const address of addresses) yield* until(isRefused(address))
      }))

    it.effect("names every wrong setting before it starts anything", () =>
      Effect.gen(function*() {
        const environment = yield* environmentOfItsOwn
        const wrong = { ...environment, KAFKA_BROKERS: "nowhere", CONCURRENCY: "many", API_PORT: "0" }
        const { code, stderr, stdout } = yield* once([], wrong)
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.match(
          stderr,
          /^3 settings are wrong:\n  API_PORT is "0": .*\n  CONCURRENCY is "many": .*\n  KAFKA_BROKERS is "nowhere": .*\n$/
        )
        assert.deepStrictEqual(
          yield* FileSystem.FileSystem.use((fs) => fs.readDirectory(environment.DATA_DIRECTORY)),
          []
        )
      }))
  }
)
