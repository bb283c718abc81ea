import type { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import type { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Clock, Console, Effect, type Layer, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CliSettings } from "./CliSettings.ts"
import { CommandError, WouldBeRefused, WrongUsage } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { rateFlag } from "./Pace.ts"
import { parseTopicRange, plannedRow, recordsOfRanges, rowsOfFile, type TopicRange } from "./PlanInput.ts"
import { noCounts, planJson, planLine, planSummary } from "./PlanReport.ts"
import { type PlannedRequest, RequestPlan } from "./RequestPlan.ts"
import { rowFormats } from "./RequestRows.ts"
import { nothingSent, sendRows } from "./RequestSending.ts"
import { readZone } from "./ZonePicture.ts"

const parameters = {
  file: Argument.String("file").pipe(
    Argument.withDescription("The requests, as emit --file takes them; - is the standard input"),
    Argument.optional
  ),
  topicRange: Flag.String("topic-range").pipe(
    Flag.withDescription(
      "Requests that are in the requests topic, PARTITION/FIRST-LAST, instead; several times for more"
    ),
    Flag.atLeast(0)
  ),
  format: Flag.Literals("format", rowFormats).pipe(
    Flag.withDescription("What the file is; by default what its name says (.csv, .tfstate), and otherwise jsonl"),
    Flag.optional
  ),
  rate: rateFlag,
  apply: Flag.Boolean("apply").pipe(
    Flag.withDescription("Send the file's requests, if none of them would be refused"),
    Flag.withDefault(false)
  ),
  json: jsonFlag("Print a line of JSON for each request, and one with the numbers")
}

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

const rangesOf = Effect.fnUntraced(function*(texts: ReadonlyArray<string>) {
  const ranges: Array<TopicRange> = []
  for (const text of texts) {
    const range = parseTopicRange(text)
    if (range === undefined) {
      return yield* misuse(`--topic-range is ${JSON.stringify(text)}: expected such as 3/100-250.`)
    }
    ranges.push(range)
  }
  return ranges
})

/** `origin-regions plan`: says what would come of requests, and writes nothing. */
export const planCommand = (layerApi: Layer.Layer<ApiSettings | OriginRegionsApi, CommandError>) =>
  Command.make(
    "plan",
    parameters,
    Effect.fn("plan")(function*({ apply, file, format, json, rate, topicRange }) {
      const settings = yield* CliSettings
      const ranges = yield* rangesOf(topicRange)
      if (Option.isSome(file) === ranges.length > 0) {
        return yield* misuse("Name a file of requests, or a --topic-range (see plan --help).")
      }
      if (apply && ranges.length > 0) {
        return yield* misuse("--apply goes with a file: what --topic-range names is in the topic already.")
      }
      const ofFile = Option.isSome(file) ? yield* rowsOfFile(file.value, format) : undefined
      const planned = ofFile === undefined
        ? Stream.fromIterable(
          yield* Effect.provide(recordsOfRanges(ranges), [
            KafkaAdmin.layer(settings.kafka),
            KafkaScan.layer(settings.kafka)
          ])
        )
        : Stream.map(ofFile.rows, plannedRow)
      const plan = new RequestPlan(readZone)
      const now = yield* Clock.currentTimeMillis
      const counts = noCounts()
      yield* planned.pipe(
        Stream.runForEach(Effect.fnUntraced(function*({ place, problems, record }) {
          const found = yield* plan.plan(record, now)
          // What the file says that is no request at all, its own reading knows best.
          const told: PlannedRequest = found.effect === "invalid" && problems.length > 0
            ? { ...found, reason: problems.join("; ") }
            : found
          counts[told.effect] += 1
          if (json) yield* Console.log(planJson(place, told))
          else if (told.effect !== "unchanged") yield* Console.log(planLine(place, told))
        })),
        Effect.provide(layerApi)
      )
      const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
      if (all === 0 && ofFile !== undefined) return yield* misuse(`${ofFile.name} holds no request.`)
      const refused = counts.conflict + counts.invalid + counts.refused
      const sent = nothingSent()
      if (!json) yield* Console.log(planSummary(counts))
      if (apply && refused === 0 && ofFile !== undefined) {
        yield* ofFile.unchanged
        yield* Effect.provide(
          sendRows(ofFile.rows, { rate, awaited: undefined, sent }),
          KafkaProducer.layer(settings.kafka)
        )
      }
      if (json) yield* Console.log(JSON.stringify({ planned: all, ...counts, sent: sent.count }))
      else if (sent.count > 0) yield* Console.log(`Sent ${sent.count} requests to ${settings.requestsTopic}.`)
      if (refused > 0) return yield* new CommandError({ reason: new WouldBeRefused({ refused, all }) })
    })
  ).pipe(
    Command.withDescription([
      "Say what would come of requests, in their order, if they were applied now. Nothing is written to the API.",
      "",
      "  Reads the zones' mappings and regions from the API, within the part of the quota that the consumer leaves to",
      "  people. Needs the consumer's settings of the API: CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL, API_GENERATION.",
      "",
      `  ${
        exitCodes({
          0: "all would be done, and with --apply all was sent",
          1: "some would be refused and nothing was sent, or Kafka or the API failed"
        })
      }`
    ].join("\n")),
    Command.withShortDescription("Say what would come of requests"),
    Command.withExamples([
      { command: "origin-regions plan examples/rows.csv", description: "What the rows of a table would do" },
      {
        command: "origin-regions plan requests.jsonl --apply",
        description: "The same, and send them if all would be done"
      },
      {
        command: "origin-regions plan --topic-range 2/0 --json",
        description: "What a request would do that is in the topic, by its partition and offset"
      }
    ])
  )
