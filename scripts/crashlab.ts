/** Breaks a running system in every way it knows, under load, and proves from its own records that no request was lost, doubled, or answered falsely. */
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Api } from "@origin-regions/testkit/Api"
import { KafkaCluster } from "@origin-regions/testkit/KafkaCluster"
import { Leash } from "@origin-regions/testkit/Leash"
import { seededChoices } from "@origin-regions/testkit/SeededChoices"
import { Duration, Effect, FileSystem, Layer, Option, Random, Redacted, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { count, runCommandLine, wholeNumber } from "./CommandLine.ts"
import { audit, type Records, type Terms, type Verdict } from "./crashlab/Audit.ts"
import { Clocks } from "./crashlab/Clocks.ts"
import { calmApi, faults } from "./crashlab/Faults.ts"
import { makeLaboratory } from "./crashlab/Laboratory.ts"
import { mutatedConsumer } from "./crashlab/MutatedConsumer.ts"
import { type Mutation, mutations } from "./crashlab/Mutations.ts"
import { groupId, runRound, topics, wholeRecord } from "./crashlab/Round.ts"
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

const generations = ["1", "2", "auto"] as const

type Protection = keyof typeof mutations
const protections = Object.keys(mutations) as Array<Protection>

interface Flags {
  readonly rounds: number
  readonly requests: number
  readonly faults: number
  readonly consumers: number
  readonly brokers: number
  readonly delivery: Terms["delivery"]
  readonly generation: (typeof generations)[number]
  /** The protection that is switched off. */
  readonly without: Protection | undefined
  readonly logs: string | undefined
  readonly json: boolean
}

const brokenIn = ({ duplicate, false: wrong, lost, outOfOrder, wrongState }: Verdict): number =>
  lost + duplicate + wrong + outOfOrder + wrongState

const utf8 = new TextDecoder()

/** What is on record of a run in which promises were broken: another run may not show it again. */
const keepRecords = (directory: string, { changes, outcomes, requests }: Records) =>
  FileSystem.FileSystem.use((fs) =>
    fs.writeFileString(
      `${directory}/records.json`,
      JSON.stringify({
        requests: requests.map(({ offset, partition, timestamp, value }) => ({
          partition,
          offset,
          timestamp,
          value: value === null ? null : utf8.decode(value)
        })),
        outcomes,
        changes
      })
    )
  )

/** A verdict as the laboratory's last line ends. */
const summaryOf = ({ duplicate, false: wrong, lost, outOfOrder, repeated, wrongState }: Verdict): string =>
  [
    ...(repeated > 0 ? [`${repeated} repeated`] : []),
    `${lost} lost`,
    `${duplicate} duplicate`,
    `${wrong} false`,
    `${outOfOrder + wrongState} out of order`
  ].join(", ")

const MAX_FINDINGS = 20

const run = Effect.fnUntraced(function*(flags: Flags, seed: string, names: ReadonlyArray<string>) {
  const admin = yield* KafkaAdmin
  yield* admin.createTopics([
    { topic: topics.requests, partitions: PARTITIONS },
    { topic: topics.outcomes, partitions: PARTITIONS },
    { topic: topics.deadLetters, partitions: 1, configs: { "max.message.bytes": "2097152" } }
  ])
  // The API has both, of which `auto` takes the later.
  const terms: Terms = { delivery: flags.delivery, generation: flags.generation === "1" ? 1 : 2 }
  const laboratory = yield* makeLaboratory({
    size: flags.consumers,
    logs: flags.logs,
    root: flags.without === undefined ? undefined : yield* mutatedConsumer(mutations[flags.without]),
    environment: {
      KAFKA_GROUP_ID: groupId,
      REQUESTS_TOPIC: topics.requests,
      OUTCOMES_TOPIC: topics.outcomes,
      DEAD_LETTERS_TOPIC: topics.deadLetters,
      KAFKA_SESSION_TIMEOUT: "10 seconds",
      // Fewer calls than there are requests at a time: many go in batches.
      CONCURRENCY: "4",
      DELIVERY: flags.delivery,
      API_GENERATION: flags.generation
    }
  })
  const tally = new Map<string, number>()
  const rounds = Array.from({ length: flags.rounds }, (_, index) => `r${index + 1}`)
  yield* calmApi
  yield* Effect.forEach(laboratory.places, laboratory.start, { discard: true })
  for (const name of rounds) {
    const records = yield* runRound(laboratory, { ...flags, name, seed: `${seed} ${name}`, names, tally })
    const verdict = audit(records, terms)
    yield* printError(
      `Round ${name}: ${verdict.requests} requests, ${verdict.recovered} recovered, ${verdict.replayed} sent twice; ${
        summaryOf(verdict)
      }`
    )
    for (const finding of verdict.findings.slice(0, MAX_FINDINGS)) yield* printError(`  ${finding}`)
  }
  // What comes late, after its round, counts too.
  yield* Effect.forEach(laboratory.places, laboratory.terminate, { concurrency: "unbounded", discard: true })
  const records = yield* wholeRecord(rounds)
  const verdict = audit(records, terms)
  const { findings, outOfOrder, wrongState, ...counts } = verdict
  const result = {
    seed,
    ...(flags.without === undefined ? undefined : { without: flags.without }),
    delivery: flags.delivery,
    generation: flags.generation,
    brokers: flags.brokers,
    rounds: flags.rounds,
    faults: Object.fromEntries(tally),
    endedByThemselves: laboratory.endedByThemselves(),
    ...counts,
    outOfOrder: outOfOrder + wrongState
  }
  if (brokenIn(verdict) > 0) {
    if (flags.logs !== undefined) yield* keepRecords(flags.logs, records)
    yield* printError(`Of all rounds together:`)
    for (const finding of findings.slice(0, MAX_FINDINGS)) yield* printError(`  ${finding}`)
  }
  yield* print(flags.json ? JSON.stringify(result) : lastLineOf(result, summaryOf(verdict)))
  if (brokenIn(verdict) > 0) return yield* new PromisesBroken({ count: brokenIn(verdict), seed })
})

interface Result {
  readonly seed: string
  readonly without?: string
  readonly delivery: string
  readonly generation: string
  readonly brokers: number
  readonly rounds: number
  readonly requests: number
  readonly recovered: number
  readonly replayed: number
  readonly endedByThemselves: number
  readonly faults: Readonly<Record<string, number>>
}

const lastLineOf = (
  { brokers, delivery, endedByThemselves, faults, generation, recovered, replayed, requests, rounds, seed, without }:
    Result,
  summary: string
): string => {
  const kinds = Object.entries(faults).toSorted(([one], [other]) => one.localeCompare(other))
  const struck = kinds.reduce((total, [, times]) => total + times, 0)
  const byKind = kinds.map(([fault, times]) => `${times} × ${fault}`).join(", ")
  const ended = endedByThemselves > 0 ? `, ${endedByThemselves} consumers ended by themselves` : ""
  const crippled = without === undefined ? "" : ` without ${without}`
  return `seed ${seed}, ${delivery}${crippled}, generation ${generation}, ${
    brokers === 1 ? "1 broker" : `${brokers} brokers`
  }: ${rounds} rounds, ${requests} requests, ${struck} faults (${byKind})${ended}, ${recovered} recovered, ${replayed} sent twice; ${summary}`
}

const clients = Layer.unwrap(Effect.gen(function*() {
  const { brokers } = yield* KafkaCluster
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
        connections: 4,
        quota: undefined
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

/** What is acknowledged is on all brokers but one at least. */
const durable = (brokers: number) => {
  const least = String(Math.max(1, brokers - 1))
  return { "min.insync.replicas": least, "transaction.state.log.min.isr": least }
}

const apiWithItsClock = Layer.unwrap(Effect.map(
  Clocks,
  ({ api }) => Api.layerWith({ environment: { API_FAULTS: "true", ...api.environment } })
))

const crashlab = Command.make(
  "npm run crashlab --",
  {
    rounds: count("rounds", 5, "How many rounds of requests, faults and an audit"),
    requests: count("requests", 600, "Requests of a round, at least: they come as long as faults strike"),
    faults: count("faults", 4, "Faults of a round"),
    consumers: count("consumers", 3, "Consumer processes of the group"),
    brokers: wholeNumber(
      "brokers",
      "Brokers, which take over from each other where there are several (default: 1 or 3, drawn from the seed)"
    ).pipe(Flag.optional),
    delivery: Flag.Literals("delivery", ["exactly-once", "at-least-once"]).pipe(
      Flag.withDescription("The consumers' DELIVERY (default: exactly-once, or what --without needs)"),
      Flag.optional
    ),
    generation: Flag.Literals("generation", generations).pipe(
      Flag.withDescription("The consumers' API_GENERATION (default: drawn from the seed)"),
      Flag.optional
    ),
    seed: Flag.String("seed").pipe(
      Flag.withDescription("Plays the requests and faults of an earlier run again (default: a random one)"),
      Flag.optional
    ),
    only: Flag.String("only").pipe(
      Flag.withDescription("Only the faults whose names contain this, or one of several with commas between"),
      Flag.withDefault("")
    ),
    without: Flag.Literals("without", protections).pipe(
      Flag.withDescription("Switches off one of the consumer's protections, to see what that comes to"),
      Flag.optional
    ),
    logs: Flag.String("logs").pipe(
      Flag.withDescription(
        "A folder for what the consumers write, and for all that is on record where a promise was broken (default: none)"
      ),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print the result as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ brokers, delivery, generation, logs, only, seed: given, without, ...flags }) {
    const parts = only.split(",").map((part) => part.trim())
    const names = Object.keys(faults).filter((name) => parts.some((part) => name.includes(part)))
    if (names.length === 0) return yield* new UnknownFault({ only })
    const seed = Option.isSome(given) ? given.value : String(yield* Random.nextInt)
    const drawn = {
      brokers: seededChoices(`${seed} brokers`).pick([1, 3]) ?? 1,
      generation: seededChoices(`${seed} generation`).pick(generations) ?? "auto"
    } as const
    const mutation: Mutation | undefined = Option.isSome(without) ? mutations[without.value] : undefined
    const options: Flags = {
      ...flags,
      without: Option.getOrUndefined(without),
      delivery: Option.getOrElse(delivery, () => mutation?.delivery ?? "exactly-once"),
      brokers: Option.getOrElse(brokers, () => drawn.brokers),
      generation: Option.getOrElse(generation, () => drawn.generation),
      logs: Option.getOrUndefined(logs)
    }
    yield* printError(`Seed ${seed}: the same again with --seed ${seed}`)
    if (options.logs !== undefined) {
      yield* FileSystem.FileSystem.use((fs) => fs.makeDirectory(options.logs ?? "", { recursive: true }))
    }
    yield* Effect.scoped(run(options, seed, names)).pipe(
      Effect.provide(clients.pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            KafkaCluster.layerJvm({
              size: options.brokers,
              progress: printError,
              properties: durable(options.brokers)
            }),
            apiWithItsClock
          ).pipe(Layer.provideMerge(Clocks.layer), Layer.provideMerge(Leash.layer))
        )
      ))
    )
  })
).pipe(Command.withDescription(
  "Break a running system under load, and prove that no request was lost, doubled, or answered falsely."
))

runScript(runCommandLine(crashlab))
