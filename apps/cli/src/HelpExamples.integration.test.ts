import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as Consumer from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Console, Deferred, Effect, Fiber, FileSystem, Layer } from "effect"
import type { Command } from "effect/cli"
import { fileURLToPath } from "node:url"
import { commandLine, runCommandLine } from "./CommandLine.ts"

/** The examples that need what is nowhere but with whom they are about. */
const elsewhere: ReadonlySet<string> = new Set([
  "origin-regions plan requests.jsonl --apply"
])

const examplesOf = (command: Command.Command.Any): ReadonlyArray<string> => [
  ...command.examples.map(({ command }) => command),
  ...command.subcommands.flatMap(({ commands }) => commands).flatMap(examplesOf)
]

const examples = examplesOf(commandLine({}))

/** The arguments as a shell makes them of an example. What is piped into it is read from the file, and what it writes goes nowhere. */
const argumentsOf = (example: string, directory: string): ReadonlyArray<string> => {
  const root = fileURLToPath(new URL("../../../", import.meta.url))
  const [, piped] = /^cat (\S+) \| /.exec(example) ?? []
  const [, line = ""] = /origin-regions (.*?)(?: > \S+)?$/.exec(example) ?? []
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word = ""]) => quoted ?? word)
  return words.map((word, index) =>
    word === "-" && piped !== undefined
      ? `${root}${piped}`
      : words[index - 1] === "--failed-to"
      ? `${directory}/${word}`
      : word.startsWith("examples/")
      ? `${root}${word}`
      : word
  )
}

/** There are some thirty. */
const LONG = 300_000

const nothing = () => {}

/** Everything that `npm start` has, with topics and a group of its own. */
const system = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const { baseUrl, token } = yield* Api
  const environment = {
    ENV_FILE: "/dev/null",
    KAFKA_BROKERS: brokers.join(","),
    KAFKA_GROUP_ID: yield* uniqueGroup,
    REQUESTS_TOPIC: yield* uniqueTopic,
    OUTCOMES_TOPIC: yield* uniqueTopic,
    DEAD_LETTERS_TOPIC: yield* uniqueTopic,
    CLOUDFLARE_BASE_URL: baseUrl,
    CLOUDFLARE_API_TOKEN: token,
    HTTP_PORT: "0"
  }
  const directory = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
  const run = (example: string, heard: (line: string) => void) =>
    runCommandLine(environment)(argumentsOf(example, directory)).pipe(
      Effect.provideService(Console.Console, { ...console, log: heard, error: heard })
    )
  return { environment, run }
})

const Surroundings = Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer, NodeServices.layer)

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The examples in the help", (it) => {
  it.effect("run as they stand on what npm start has", () =>
    Effect.gen(function*() {
      assert.includeMembers(examples as Array<string>, [...elsewhere])
      const { environment, run } = yield* system
      yield* run("origin-regions topics create", nothing)
      yield* Consumer.start(environment)
      yield* run(
        "origin-regions emit upsert --zone demo-shop --ip 192.0.2.10 --vendor aws --region us-east-1 --wait",
        nothing
      )
      for (const example of examples.filter((example) => !elsewhere.has(example))) {
        const heard: Array<string> = []
        const began = yield* Deferred.make<void>()
        const running = yield* run(example, (line) => {
          heard.push(line)
          if (line.startsWith("Watching ")) Deferred.doneUnsafe(began, Effect.void)
        }).pipe(
          Effect.mapError((error) => new Error(`${example}: ${error.message}\n${heard.join("\n")}`)),
          Effect.forkChild
        )
        // It watches until it is interrupted.
        yield* example.startsWith("origin-regions watch")
          ? Effect.andThen(Effect.raceFirst(Deferred.await(began), Fiber.join(running)), Fiber.interrupt(running))
          : Fiber.join(running)
      }
    }), LONG)
})
