/** Breaks a running system in every way it knows, under load, and proves from its own records that no request was lost, doubled, or answered falsely. */
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Api } from "@origin-regions/testkit/Api"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Duration, Effect, Layer, Option, Random, Redacted, Schema } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import type { Verdict } from "./crashlab/Audit.ts"
import { faults } from "./crashlab/Faults.ts"
import { makeLaboratory } from "./crashlab/Laboratory.ts"
import { groupId, runRound, topics } from "./crashlab/Round.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"

class UnknownFault extends Schema.TaggedError<UnknownFault>()("UnknownFault", { only: Schema.String }) {
  override get message() {
    return `No fault's name contains "${this.only}" (--only). They are: ${Object.keys(faults).join(", ")}.`
  }
}

class PromisesBroken
  extends Schema.TaggedError<PromisesBroken>()("PromisesBroken", { count: Schema.Int, seed: Schema.String })
{
  override get message() {
    return `${this.count} requests were lost, doubled, answered falsely or out of order: --seed ${this.seed} plays the same again.`
  }
}

const PARTITIONS = 6

interface Flags {
  readonly rounds: number
  readonly requests: number
  readonly faults: number
  readonly consumers: number
  readonly delivery: string
  readonly json: boolean
}

const sum = (verdicts: ReadonlyArray<Verdict>, pick: (verdict: Verdict) => number): number =>
  verdicts.reduce((total, verdict) => total + pick(verdict), 0)

const run = Effect.fnUntraced(function*(flags: Flags, seed: string, names: ReadonlyArray<string>) {
  const admin = yield* KafkaAdmin
  yield* admin.createTopics([
    { topic: topics.requests, partitions: PARTITIONS },
    { topic: topics.outcomes, partitions: PARTITIONS },
    { topic: topics.deadLetters, partitions: 1, configs: { "max.message.bytes": "2097152" } }
  ])
  const laboratory = yield* makeLaboratory(flags.consumers, {
    KAFKA_GROUP_ID: groupId,
    REQUESTS_TOPIC: topics.requests,
    OUTCOMES_TOPIC: topics.outcomes,
    DEAD_LETTERS_TOPIC: topics.deadLetters,
    KAFKA_SESSION_TIMEOUT: "10 seconds",
    DELIVERY: flags.delivery
  })
  const tally = new Map<string, number>()
  const verdicts: Array<Verdict> = []
  let requests = 0
  let recovered = 0
  yield* Effect.forEach(laboratory.places, laboratory.start, { discard: true })
  for (let round = 1; round <= flags.rounds; round++) {
    const result = yield* runRound(laboratory, round, flags.requests, { count: flags.faults, names }, tally)
    const { verdict } = result
    verdicts.push(verdict)
    requests += result.requests
    recovered += result.recovered
    yield* printError(
      `Round ${round}: ${result.requests} requests, ${result.outcomes} outcomes, ${recovered} recovered so far; lost ${verdict.lost}, duplicate ${verdict.duplicate}, false ${verdict.false}, out of order ${verdict.outOfOrder}, wrong state ${verdict.wrongState}`
    )
    for (const example of verdict.examples) yield* printError(`  ${example}`)
  }
  const struck = [...tally.values()].reduce((total, times) => total + times, 0)
  const result = {
    seed,
    rounds: flags.rounds,
    requests,
    recovered,
    faults: Object.fromEntries(tally),
    lost: sum(verdicts, ({ lost }) => lost),
    duplicate: sum(verdicts, ({ duplicate }) => duplicate),
    false: sum(verdicts, (verdict) => verdict.false),
    outOfOrder: sum(verdicts, ({ outOfOrder, wrongState }) => outOfOrder + wrongState)
  }
  yield* print(
    flags.json
      ? JSON.stringify(result)
      : `seed ${seed}: ${result.rounds} rounds, ${requests} requests, ${struck} faults (${
        [...tally].map(([fault, times]) => `${times} × ${fault}`).join(", ")
      }), ${recovered} recovered; ${result.lost} lost, ${result.duplicate} duplicate, ${result.false} false, ${result.outOfOrder} out of order`
  )
  const broken = result.lost + result.duplicate + result.false + result.outOfOrder
  if (broken > 0) return yield* new PromisesBroken({ count: broken, seed })
})

const clients = Layer.unwrap(Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const { baseUrl, token } = yield* Api
  const settings = { brokers, tls: undefined, sasl: undefined }
  const api = OriginRegionsApi.layerNoDeps.pipe(
    Layer.provide(Layer.succeed(
      ApiSettings,
      ApiSettings.of({
        baseUrl: new URL(baseUrl),
        credential: { _tag: "Token", token: Redacted.make(token) },
        generation: "auto",
        timeout: Duration.seconds(10),
        connections: 4
      })
    ))
  )
  return Layer.mergeAll(
    KafkaProducer.layer(settings),
    KafkaAdmin.layer(settings),
    KafkaTopicReader.layer(settings),
    api
  )
}))

const count = (name: string, fallback: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withDescription(`${description} (default: ${fallback})`),
    Flag.filter((value) => value >= 1, () => "a whole number from 1"),
    Flag.withDefault(fallback)
  )

const crashlab = Command.make(
  "npm run crashlab --",
  {
    rounds: count("rounds", 5, "How many rounds of requests, faults and an audit"),
    requests: count("requests", 600, "Requests of a round"),
    faults: count("faults", 4, "Faults of a round"),
    consumers: count("consumers", 3, "Consumer processes of the group"),
    delivery: Flag.Literals("delivery", ["exactly-once", "at-least-once"]).pipe(
      Flag.withDescription("The consumers' DELIVERY (default: exactly-once)"),
      Flag.withDefault("exactly-once")
    ),
    seed: Flag.String("seed").pipe(
      Flag.withDescription("Plays the requests and faults of an earlier run again (default: a random one)"),
      Flag.optional
    ),
    only: Flag.String("only").pipe(
      Flag.withDescription("Only the faults whose names contain this"),
      Flag.withDefault("")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the result as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ only, seed: given, ...flags }) {
    const names = Object.keys(faults).filter((name) => name.includes(only))
    if (names.length === 0) return yield* new UnknownFault({ only })
    const seed = Option.isSome(given) ? given.value : String(yield* Random.nextInt)
    yield* printError(`Seed ${seed}: the same again with --seed ${seed}`)
    yield* Effect.scoped(run(flags, seed, names)).pipe(
      Random.withSeed(seed),
      Effect.provide(clients.pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            KafkaBroker.layerJvm({ progress: printError }),
            Api.layerWith({ environment: { API_FAULTS: "true" } })
          ).pipe(Layer.provideMerge(Leash.layer))
        )
      ))
    )
  })
).pipe(Command.withDescription(
  "Break a running system under load, and prove that no request was lost, doubled, or answered falsely."
))

runScript(
  Command.runWith(crashlab, { version: "" })(process.argv.slice(2)).pipe(
    Effect.as(0),
    Effect.catchTag("ShowHelp", () => Effect.succeed(2)),
    Effect.provide(CliConfig.layer({ builtIns: [GlobalFlag.Help] }))
  )
)
