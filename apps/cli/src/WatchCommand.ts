import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Console, Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { outcomeRow, tableHead, tableRow } from "./OutcomeTable.ts"
import { type TableStyle, tableStyle } from "./TableStyle.ts"

const UUID_LENGTH = 36

const parameters = {
  fromBeginning: Flag.Boolean("from-beginning").pipe(
    Flag.withDescription("Start with the oldest outcome that is kept, instead of the next one"),
    Flag.withDefault(false)
  ),
  json: jsonFlag("Print each outcome as it is: one CloudEvent in JSON a line")
}

const printRecord = Effect.fnUntraced(function*(record: SourceRecord, style: TableStyle | "json") {
  const outcome = Option.flatMap(Option.fromNullOr(record.value), readOutcome)
  if (Option.isNone(outcome)) {
    return yield* Console.error(`Passed over ${record.topic} ${record.partition}/${record.offset}: it is no outcome.`)
  }
  yield* Console.log(style === "json" ? JSON.stringify(outcome.value) : tableRow(outcomeRow(outcome.value), style))
})

/** `origin-regions watch`: prints outcomes as they come, until it is interrupted. */
export const watchCommand = Command.make(
  "watch",
  parameters,
  Effect.fn("watch")(function*({ fromBeginning, json }) {
    const settings = yield* CliSettings
    const style = yield* tableStyle(UUID_LENGTH)
    const topic = settings.outcomesTopic
    const watching = Effect.gen(function*() {
      const { beginningOffsets, endOffsets } = yield* KafkaAdmin
      const { read } = yield* KafkaTopicReader
      const from = yield* sayingWhereItWaits(settings)(fromBeginning ? beginningOffsets(topic) : endOffsets(topic))
      yield* Console.error(`Watching ${topic} at ${settings.kafka.brokers.join(", ")}. Ctrl-C ends it.`)
      if (!json) yield* Console.log(tableHead(style))
      yield* Stream.runForEach(read({ topic, from }), (record) => printRecord(record, json ? "json" : style))
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
    `  ${exitCodes({ 0: "ended by Ctrl-C, or by whoever read it" })}`
  ].join("\n")),
  Command.withShortDescription("Watch outcomes"),
  Command.withExamples([
    { command: "origin-regions watch", description: "Watch in a table, from now on" },
    {
      command: "origin-regions watch --from-beginning --json",
      description: "Every outcome that is kept, for a program"
    }
  ])
)
