/** Starts Kafka, the API and the consumer, sends the examples through them, and shows every outcome. */
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { invocationPresenter } from "@origin-regions/cli/InvocationPresenter"
import { outcomeRow, tableHead, tableRow } from "@origin-regions/cli/OutcomeTable"
import { requestTextRecord } from "@origin-regions/cli/RequestText"
import { tableStyle } from "@origin-regions/cli/TableStyle"
import { type MappingKey, mappingKey } from "@origin-regions/domain/MappingKey"
import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import type { Api } from "@origin-regions/testkit/Api"
import { Leash } from "@origin-regions/testkit/Leash"
import { Deferred, Duration, Effect, FileSystem, Layer, Option, Redacted, Schedule, Schema, Stream } from "effect"
import { CliOutput, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import * as NodePath from "node:path"
import { root } from "./Command.ts"
import { runCommandLine } from "./CommandLine.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"
import { holdDataDirectory } from "./start/DataDirectory.ts"
import { lagOf } from "./start/Lag.ts"
import { removeVolume } from "./start/LocalBroker.ts"
import { sayIfSlow, startLocalSystem } from "./start/LocalSystem.ts"
import { expectedCode, readSamples, type Sample } from "./start/Samples.ts"
import { readStartSettings, startEnvironment, type StartSettings } from "./start/StartSettings.ts"

type LocalSystem = Effect.Success<ReturnType<typeof startLocalSystem>>

class UnexpectedOutcomes extends Schema.TaggedError<UnexpectedOutcomes>()("UnexpectedOutcomes", {
  unexpected: Schema.Int,
  all: Schema.Int
}) {
  override get message() {
    return `${this.unexpected} of ${this.all} outcomes are not the expected ones.`
  }
}

const readExamples = Effect.fnUntraced(function*(source: string) {
  const fs = yield* FileSystem.FileSystem
  const [requests, outcomes] = yield* Effect.all([
    fs.readFileString(NodePath.join(root, "examples/requests.jsonl")),
    fs.readFileString(NodePath.join(root, "examples/outcomes.json"))
  ])
  return yield* readSamples(requests, outcomes, source)
})

/** Older requests are answered first: what comes of the examples depends on them. */
const untilAllIsAnswered = Effect.fnUntraced(function*(topic: string, groupId: string) {
  const { beginningOffsets, committedOffsets, endOffsets } = yield* KafkaAdmin
  const lag = Effect.map(
    Effect.all({
      beginning: beginningOffsets(topic),
      end: endOffsets(topic),
      committed: committedOffsets(groupId, topic)
    }),
    lagOf
  )
  yield* Effect.repeat(lag, { schedule: Schedule.spaced("100 millis"), until: (requests) => requests === 0 }).pipe(
    sayIfSlow("Waiting until the requests of an earlier run are answered…")
  )
})

/** Which addresses of the examples have a mapping, as the API tells. */
const mappedAddresses = Effect.fnUntraced(function*(samples: ReadonlyMap<string, Sample>, api: Api["Service"]) {
  const zones = new Set([...samples.values()].flatMap(({ zoneId }) => zoneId ?? []))
  const settings = Layer.succeed(
    ApiSettings,
    ApiSettings.of({
      baseUrl: new URL(api.baseUrl),
      credential: { _tag: "Token", token: Redacted.make(api.token) },
      generation: 1,
      timeout: Duration.seconds(10),
      connections: 1,
      quota: undefined
    })
  )
  const mapped = new Set<MappingKey>()
  yield* OriginRegionsApi.use(({ list }) =>
    Effect.forEach(zones, (zone) =>
      Effect.map(list(zone), (mappings) => {
        for (const { origin_ip, zone_id } of mappings) mapped.add(mappingKey(zone_id, origin_ip))
      }))
  ).pipe(Effect.provide(OriginRegionsApi.layerNoDeps.pipe(Layer.provide(settings))))
  return mapped
})

interface Flags {
  readonly once: boolean
  readonly json: boolean
}

/** Prints outcomes as they come, those of the samples with a mark that says whether they are as expected. */
const makeOutcomePrinter = Effect.fnUntraced(
  function*(samples: ReadonlyMap<string, Sample>, source: string, mapped: ReadonlySet<MappingKey>, flags: Flags) {
    const style = yield* tableStyle({
      requestWidth: Math.max(...[...samples.keys()].map((id) => id.length)),
      timed: false
    })
    const waiting = new Map(samples)
    const allCame = yield* Deferred.make<void>()
    let unexpected = 0
    if (!flags.json) yield* print(tableHead(style))

    const printOutcome = Effect.fnUntraced(function*(outcome: MappingOutcome) {
      const { request } = outcome.data
      const sample = request.source === source && request.id !== null ? waiting.get(request.id) : undefined
      if (sample === undefined && flags.once) return
      const row = outcomeRow(outcome)
      const expected = sample === undefined ? row.code : expectedCode(sample, mapped)
      const isExpected = row.code === expected
      yield* print(
        flags.json
          ? JSON.stringify(outcome)
          : tableRow({
            ...row,
            mark: sample === undefined ? "" : isExpected ? "✓" : "✗",
            asked: sample?.asked ?? row.asked,
            meaning: isExpected ? row.meaning : `${row.meaning} (expected: ${expected})`
          }, style)
      )
      if (sample === undefined) return
      if (!isExpected) unexpected++
      if (flags.json && !isExpected) yield* printError(`${sample.id} got ${row.code}, and not ${expected}.`)
      waiting.delete(sample.id)
      if (waiting.size === 0) yield* Deferred.succeed(allCame, undefined)
    })

    const remind = Effect.suspend(() =>
      printError(`Still waiting for the outcomes of ${[...waiting.keys()].join(", ")}…`)
    ).pipe(
      Effect.delay("15 seconds"),
      Effect.forever
    )
    return {
      printOutcome,
      /** Yields how many were not the expected ones. */
      allCame: Effect.map(Effect.raceFirst(Deferred.await(allCame), remind), () => unexpected)
    }
  }
)

/** What runs where, and what to do next. */
const describeSystem = ({ api, consumerAddress, kafka, provider }: LocalSystem): string => {
  const brokers = kafka.brokers.join(",")
  const apiAddress = new URL(api.baseUrl).origin
  const how = { external: "from KAFKA_BROKERS", jvm: "on the JVM", testcontainers: "in a container" }[provider]
  const command = `${brokers === "127.0.0.1:9092" ? "" : `KAFKA_BROKERS=${brokers} `}npm run origin-regions --`
  return [
    "",
    `Kafka      ${brokers} (${how})`,
    `API        ${api.baseUrl} (bearer token: ${api.token})`,
    `           ${apiAddress}/docs, ${apiAddress}/health`,
    `Consumer   ${consumerAddress}/ (its page), ${consumerAddress}/metrics`,
    "",
    "Outcomes go on appearing here; Ctrl-C ends everything. In another terminal:",
    "",
    `  ${command} emit create --zone demo-shop --ip 192.0.2.44 --vendor aws --region us-east-1`,
    "",
    "export, api, plan and reconcile ask the API, and are told where it is:",
    "",
    `  CLOUDFLARE_BASE_URL=${api.baseUrl} CLOUDFLARE_API_TOKEN=${api.token} ${command} export demo-shop`,
    ""
  ].join("\n")
}

const sendExamples = Effect.fnUntraced(
  function*(
    samples: ReadonlyMap<string, Sample>,
    source: string,
    system: LocalSystem,
    { groupId, outcomesTopic, requestsTopic }: StartSettings["consumer"],
    flags: Flags,
    sayStopping: Effect.Effect<void>
  ) {
    const { endOffsets } = yield* KafkaAdmin
    const { send } = yield* KafkaProducer
    const { read } = yield* KafkaTopicReader
    yield* untilAllIsAnswered(requestsTopic, groupId)
    const mapped = yield* mappedAddresses(samples, system.api)
    const from = yield* endOffsets(outcomesTopic)
    const { allCame, printOutcome } = yield* makeOutcomePrinter(samples, source, mapped, flags)
    const watching = Stream.runForEach(
      read({ topic: outcomesTopic, from }),
      ({ value }) =>
        Option.match(Option.flatMap(Option.fromNullOr(value), readOutcome), {
          onNone: () => Effect.void,
          onSome: printOutcome
        })
    )
    const sending = Effect.gen(function*() {
      yield* send(
        [...samples.values()].map(({ text }) => ({ topic: requestsTopic, record: requestTextRecord(text) }))
      )
      const unexpected = yield* allCame
      const tell = flags.json ? printError : print
      if (unexpected > 0 && flags.once) return yield* new UnexpectedOutcomes({ unexpected, all: samples.size })
      yield* tell(
        unexpected === 0
          ? `All ${samples.size} outcomes are as expected.`
          : new UnexpectedOutcomes({ unexpected, all: samples.size }).message
      )
      if (flags.once) return
      yield* tell(describeSystem(system))
      return yield* Effect.never
    }).pipe(Effect.onExit(() => sayStopping))
    yield* Effect.raceFirst(sending, Effect.andThen(watching, Effect.never))
  }
)

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const start = Command.make(
  "npm start --",
  {
    once: flag("once", "End after the examples' outcomes; the exit code is 0 only if all were the expected ones"),
    json: flag("json", "Print outcomes as JSON CloudEvents, one a line, and everything else to stderr"),
    fresh: flag("fresh", "Start empty: forget the mappings, requests and outcomes of earlier runs")
  },
  Effect.fnUntraced(function*({ fresh, ...flags }) {
    const environment = yield* startEnvironment
    const settings = yield* readStartSettings(environment)
    const source = `/examples/${SecureRandom.uuidV4Unsafe()}`
    const samples = yield* readExamples(source)
    yield* holdDataDirectory(settings.dataDirectory, { fresh })
    if (fresh && environment["KAFKA_BROKERS"]) {
      yield* printError("--fresh leaves the topics of KAFKA_BROKERS as they are.")
    } else if (fresh) yield* removeVolume(settings.dataDirectory)
    const sayStopping = yield* Effect.cached(printError("Stopping…"))
    yield* Effect.addFinalizer(() => sayStopping)
    const system = yield* startLocalSystem(settings, environment)
    yield* sendExamples(samples, source, system, settings.consumer, flags, sayStopping).pipe(
      Effect.provide([
        KafkaAdmin.layer(system.kafka),
        KafkaProducer.layer(system.kafka),
        KafkaTopicReader.layer(system.kafka)
      ]),
      Effect.raceFirst(system.failure)
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription([
    "Start Kafka, the API and the consumer, send the examples through them, and show every outcome.",
    "",
    "  Kafka is the first that applies: KAFKA_BROKERS; Docker, with the image apache/kafka or KAFKA_IMAGE;",
    "  the JVM (Java 17 or later, and Maven). Data is kept in .data (DATA_DIRECTORY). The ports are 9092,",
    "  8787 and 8788 (KAFKA_PORT, API_PORT, HTTP_PORT), or free ones where those are taken."
  ].join("\n")),
  Command.withExamples([
    { command: "npm start", description: "Start everything, and keep it running until Ctrl-C" },
    {
      command: "npm start --silent -- --once --json",
      description: "For a program: nothing but events on stdout (--silent is npm's, and keeps its own lines away)"
    },
    { command: "npm start -- --fresh", description: "Start with no data" }
  ])
)

const main = Effect.provide(runCommandLine(start), [CliOutput.layerPresenter(invocationPresenter), Leash.layer])

runScript(main, { interrupted: process.argv.includes("--once") ? 130 : 0 })
