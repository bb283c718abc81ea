import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import {
  DEFAULT_PARTITIONS,
  type TopicDifference,
  topicDifferences,
  type TopicLayout,
  topicLayouts
} from "@origin-regions/kafka/TopicLayout"
import { Console, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, TopicsDiffer } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { textColumns } from "./TextColumns.ts"

const count = (name: string, description: string, maximum: number) =>
  Flag.Int(name).pipe(
    Flag.withDescription(description),
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))),
    Flag.optional
  )

const parameters = {
  partitions: count(
    "partitions",
    `Partitions of the requests and the outcomes topic; ${DEFAULT_PARTITIONS} by default`,
    100_000
  ),
  replication: count(
    "replication",
    "Copies of each partition; by default one for each broker, up to three",
    // Kafka's own: a 16-bit number.
    32_767
  ),
  json: jsonFlag("Print what was found in JSON")
}

/** One topic as it is now: `isNew` where this command has made it. */
interface TopicFinding {
  readonly topic: string
  readonly state: "created" | "there" | "missing"
  readonly partitions: number
  readonly replicationFactor: number
  readonly differences: ReadonlyArray<TopicDifference>
}

const find = Effect.fnUntraced(function*(layout: TopicLayout, created: ReadonlyArray<string>) {
  const { topic } = layout
  const found = yield* KafkaAdmin.use(({ describeTopic }) => describeTopic(topic, Object.keys(layout.configs)))
  const finding: TopicFinding = found === undefined
    ? { topic, state: "missing", partitions: 0, replicationFactor: 0, differences: [] }
    : {
      topic,
      state: created.includes(topic) ? "created" : "there",
      partitions: found.partitions,
      replicationFactor: found.replicationFactor,
      differences: topicDifferences(layout, found)
    }
  return finding
})

const counted = (number: number, one: string, more: string) => `${number} ${number === 1 ? one : more}`

const WORDS = { created: "created", there: "is there", missing: "is not there" } as const

const lines = (findings: ReadonlyArray<TopicFinding>): ReadonlyArray<string> =>
  textColumns(findings.flatMap(({ differences, partitions, replicationFactor, state, topic }) => [
    [
      topic,
      WORDS[state],
      state === "missing"
        ? ""
        : `${counted(partitions, "partition", "partitions")}, ${counted(replicationFactor, "copy", "copies")} of each`
    ],
    ...differences.map((
      { expected, found, setting }
    ) => ["", "differs", `${setting} is ${found}; it should be ${expected}`])
  ]))

const isGood = ({ differences, state }: TopicFinding) => state !== "missing" && differences.length === 0

type Input = Command.Command.Config.Infer<typeof parameters>

/** Makes what is to be made, and tells how the topics are. */
const look = Effect.fnUntraced(function*({ json, partitions, replication }: Input, create: boolean) {
  const settings = yield* CliSettings
  const findings = yield* Effect.gen(function*() {
    const admin = yield* KafkaAdmin
    const layouts = topicLayouts(settings, {
      brokers: yield* admin.brokerCount,
      ...Option.isSome(partitions) ? { partitions: partitions.value } : {},
      ...Option.isSome(replication) ? { replicationFactor: replication.value } : {}
    })
    const created = create ? yield* admin.createTopics(layouts) : []
    return yield* Effect.forEach(layouts, (layout) => find(layout, created))
  }).pipe(
    sayingWhereItWaits(settings),
    Effect.provide(KafkaAdmin.layer(settings.kafka)),
    Effect.mapError((error) => kafkaFailed(error, settings))
  )
  // What differs is there all the same: a job that runs before every start must not end at that.
  const differing = findings.filter((finding) => create ? finding.state === "missing" : !isGood(finding)).length
  yield* Console.log(
    json ? JSON.stringify({ ok: differing === 0, topics: findings }, null, 2) : lines(findings).join("\n")
  )
  return { differing, all: findings.length }
})

const looking = (create: boolean) =>
  Effect.fnUntraced(function*(input: Input) {
    const { all, differing } = yield* look(input, create)
    if (differing > 0) return yield* new CommandError({ reason: new TopicsDiffer({ differing, all }) })
  })

const createCommand = Command.make("create", parameters, Effect.fn("topics create")(looking(true))).pipe(
  Command.withDescription([
    "Create the topics that are not there yet, and say how those are that were.",
    "",
    "  Nothing is changed about a topic that is there; where it is not as it should be, that is told,",
    "  and is no failure: check is for that. \"ok\" in --json is whether all are there.",
    "",
    `  ${exitCodes({ 0: "all topics are there" })}`
  ].join("\n")),
  Command.withShortDescription("Create the topics that are not there yet"),
  Command.withExamples([
    { command: "origin-regions topics create", description: "With 12 partitions, and up to three copies of each" },
    { command: "origin-regions topics create --partitions 24 --json", description: "With more, for a program" }
  ])
)

const checkCommand = Command.make(
  "check",
  parameters,
  Effect.fn("topics check")(looking(false))
).pipe(
  Command.withDescription([
    "Compare the topics with how they should be. Nothing is changed.",
    "",
    "  More partitions and copies, a longer retention and larger records are good too. Settings that may not be",
    "  read are not compared.",
    "",
    `  ${exitCodes({ 0: "all is as it should be", 1: "a topic is missing or differs, or Kafka failed" })}`
  ].join("\n")),
  Command.withShortDescription("Compare the topics with how they should be"),
  Command.withExamples([
    { command: "origin-regions topics check", description: "Whether all topics are there, and as they should be" },
    { command: "origin-regions topics check --replication 1 --json", description: "On one broker, for a program" }
  ])
)

/** `origin-regions topics`: the three topics, made and looked at. */
export const topicsCommand = Command.make("topics").pipe(
  Command.withDescription("About the topics of requests, outcomes and dead letters."),
  Command.withShortDescription("Create and check the topics"),
  Command.withSubcommands([createCommand, checkCommand])
)
