import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Clock, Console, Effect, identity, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, WrongUsage } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { codeFlag } from "./OutcomeCodeFlag.ts"
import { kindOf, outcomeRow, shownTime, tableHead, tableRow } from "./OutcomeTable.ts"
import { sinceFlag, sinceMoment } from "./Since.ts"
import { type TableStyle, tableStyle } from "./TableStyle.ts"

const UUID_LENGTH = 36

const parameters = {
  fromBeginning: Flag.Boolean("from-beginning").pipe(
    Flag.withDescription("Start with the oldest outcome that is kept, instead of the next one"),
    Flag.withDefault(false)
  ),
  since: sinceFlag("Start with the outcomes from then on"),
  zone: Flag.String("zone").pipe(Flag.withDescription("Only of this zone"), Flag.withSchema(ZoneId), Flag.optional),
  code: codeFlag("Only with this code, such as created or 1145"),
  type: Flag.Literals("type", ["succeeded", "rejected", "failed"]).pipe(
    Flag.withDescription("Only of this type; can be given several times"),
    Flag.atLeast(0)
  ),
  source: Flag.String("source").pipe(
    Flag.withDescription("Only what answers requests of this source"),
    Flag.optional
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withDescription("End after so many outcomes"),
    Flag.filter((count) => count > 0, () => "expected 1 or more"),
    Flag.optional
  ),
  json: jsonFlag("Print each outcome as it is: one CloudEvent in JSON a line")
}

type Flags = Command.Command.Config.Infer<typeof parameters>

/** Whether an outcome is one of those that are asked for. */
const isAskedFor = ({ code, source, type, zone }: Flags) => (outcome: MappingOutcome): boolean =>
  (Option.isNone(zone) || outcome.subject?.startsWith(`${zone.value}/`) === true) &&
  (code.length === 0 || code.includes(outcome.outcomecode)) &&
  (type.length === 0 || type.includes(kindOf(outcome))) &&
  (Option.isNone(source) || outcome.data.request.source === source.value)

/** The outcome of a record; whoever watches is told of one that has none. */
const outcomeIn = Effect.fnUntraced(function*({ offset, partition, topic, value }: SourceRecord) {
  const outcome = Option.flatMap(Option.fromNullOr(value), readOutcome)
  if (Option.isNone(outcome)) yield* Console.error(`Passed over ${topic} ${partition}/${offset}: it is no outcome.`)
  return Option.toArray(outcome)
})

const printOutcome = Effect.fnUntraced(function*(outcome: MappingOutcome, json: boolean, style: TableStyle) {
  if (json) return yield* Console.log(JSON.stringify(outcome))
  const time = shownTime(outcome, yield* Clock.currentTimeMillis)
  yield* Console.log(tableRow({ ...outcomeRow(outcome), time }, style))
})

/** `origin-regions watch`: prints outcomes as they come, until it is interrupted or has printed as many as it should. */
export const watchCommand = Command.make(
  "watch",
  parameters,
  Effect.fn("watch")(function*(flags) {
    const { fromBeginning, json, limit } = flags
    const settings = yield* CliSettings
    const since = yield* sinceMoment(flags.since)
    if (fromBeginning && since !== undefined) {
      return yield* new CommandError({
        reason: new WrongUsage({ problem: "Give --from-beginning or --since, not both." })
      })
    }
    const style = yield* tableStyle({ requestWidth: UUID_LENGTH, timed: true })
    const topic = settings.outcomesTopic
    const watching = Effect.gen(function*() {
      const { beginningOffsets, endOffsets, offsetsSince } = yield* KafkaAdmin
      const { read } = yield* KafkaTopicReader
      const from = yield* sayingWhereItWaits(settings)(
        fromBeginning
          ? beginningOffsets(topic)
          : since === undefined
          ? endOffsets(topic)
          : offsetsSince(topic, since)
      )
      yield* Console.error(`Watching ${topic} at ${settings.kafka.brokers.join(", ")}. Ctrl-C ends it.`)
      if (!json) yield* Console.log(tableHead(style))
      yield* read({ topic, from }).pipe(
        Stream.mapEffect(outcomeIn),
        Stream.flattenIterable,
        Stream.filter(isAskedFor(flags)),
        Option.isSome(limit) ? Stream.take(limit.value) : identity,
        Stream.runForEach((outcome) => printOutcome(outcome, json, style))
      )
    })
    yield* watching.pipe(
      Effect.provide([KafkaAdmin.layer(settings.kafka), KafkaTopicReader.layer(settings.kafka)]),
      Effect.mapError((error) => kafkaFailed(error, settings))
    )
  })
).pipe(
  Command.withDescription([
    "Print the outcomes of mapping requests as they come, until Ctrl-C.",
    "",
    "  Times are in UTC; the day is told of outcomes that are not of today.",
    "",
    `  ${exitCodes({ 0: "ended by Ctrl-C, by --limit, or by whoever read it" })}`
  ].join("\n")),
  Command.withShortDescription("Watch outcomes"),
  Command.withExamples([
    { command: "origin-regions watch", description: "Watch in a table, from now on" },
    {
      command: "origin-regions watch --type rejected --type failed --zone demo-shop --since \"1 hour\"",
      description: "What did not succeed in a zone, since an hour ago"
    },
    { command: "origin-regions watch --code 1145 --source /provisioning", description: "Conflicts of one emitter" },
    {
      command: "origin-regions watch --zone demo-shop --limit 1 --json",
      description: "The next outcome of a zone, for a script"
    },
    {
      command: "origin-regions watch --from-beginning --json",
      description: "Every outcome that is kept, for a program"
    }
  ])
)
