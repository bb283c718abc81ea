import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Clock, Console, Duration, Effect, Option, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, WrongUsage } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { codeFlag } from "./OutcomeCodeFlag.ts"
import { paced, rateFlag } from "./Pace.ts"
import { type Replay, type ReplayFilter, ReplaySelection } from "./ReplaySelection.ts"
import { sinceFlag, sinceMoment } from "./Since.ts"
import { textColumns } from "./TextColumns.ts"

const parameters = {
  code: codeFlag("Requests whose outcomecode is this: 1157, gave_up, …"),
  zone: Flag.String("zone").pipe(
    Flag.withDescription("Only requests of this zone"),
    Flag.withSchema(ZoneId),
    Flag.optional
  ),
  since: sinceFlag("Only those answered from then on"),
  deadLetters: Flag.Boolean("dead-letters").pipe(
    Flag.withDescription("Take the requests from their dead letters, instead of from the requests topic"),
    Flag.withDefault(false)
  ),
  rate: rateFlag,
  force: Flag.Boolean("force").pipe(
    Flag.withDescription(
      "Send again also what was sent again before, and what a later request of its key has overtaken"
    ),
    Flag.withDefault(false)
  ),
  apply: Flag.Boolean("apply").pipe(
    Flag.withDescription("Send; without this nothing is sent"),
    Flag.withDefault(false)
  ),
  json: jsonFlag("Print what is done, or would be, in JSON")
}

/** Clocks differ: what was sent again after an outcome may bear an earlier time. */
const CLOCK_MARGIN = Duration.toMillis("2 hours")

const PATIENCE = Duration.seconds(10)

/** Finds what is meant, and what has become of it since. */
const select = Effect.fnUntraced(
  function*(filter: ReplayFilter, from: "dead letters" | "outcomes", since: number | undefined) {
    const { deadLettersTopic, outcomesTopic } = yield* CliSettings
    const { beginningOffsets, offsetsSince } = yield* KafkaAdmin
    const { scan } = yield* KafkaScan
    const selection = new ReplaySelection(filter)
    const topic = from === "outcomes" ? outcomesTopic : deadLettersTopic
    let earliest = Number.POSITIVE_INFINITY
    yield* scan({
      topic,
      from: since === undefined ? yield* beginningOffsets(topic) : yield* offsetsSince(topic, since),
      patience: PATIENCE
    }, (_, record) => {
      const before = selection.size
      if (from === "outcomes") selection.outcome(record)
      else selection.letter(record)
      if (selection.size > before) earliest = Math.min(earliest, record.timestamp)
    })
    if (selection.size === 0) return selection
    const begun = yield* offsetsSince(filter.topic, Math.max(0, earliest - CLOCK_MARGIN))
    const first = selection.firstOffsets
    yield* scan({
      topic: filter.topic,
      from: new Map(
        [...begun].map(([partition, offset]) => [partition, Math.min(offset, first.get(partition) ?? offset)])
      ),
      patience: PATIENCE
    }, (partition, record) => selection.request(partition, record))
    return selection
  }
)

const reasons: Readonly<Record<NonNullable<Replay["skipped"]>, string>> = {
  replayed: "were sent again before (--force does it once more)",
  superseded: "are overtaken by a later request of the same key (--force sends them all the same)",
  expired: "have an expirytime that has passed: they would expire again",
  gone: "are no longer in the requests topic (are they among the dead letters?)",
  truncated: "were cut off when they were dead-lettered"
}

const countsOf = (replays: ReadonlyArray<Replay>) =>
  (Object.keys(reasons) as ReadonlyArray<keyof typeof reasons>).map((reason) =>
    [reason, replays.filter(({ skipped }) => skipped === reason).length] as const
  )

/** How many are shown of what is sent. */
const SAMPLES = 5

const asText = (replays: ReadonlyArray<Replay>): string => {
  const sending = replays.filter(({ skipped }) => skipped === undefined)
  const samples = sending.slice(0, SAMPLES).map(({ address, code, id, offset, partition }) => [
    `  ${partition}/${offset}`,
    address ?? "(unreadable)",
    code,
    `as ${id}`
  ])
  return [
    `${replays.length} chosen, ${sending.length} to send again.`,
    ...countsOf(replays).filter(([, count]) => count > 0).map(([reason, count]) => `  ${count} ${reasons[reason]}`),
    ...textColumns(samples),
    ...sending.length > SAMPLES ? ["  …"] : []
  ].join("\n")
}

const asJson = (replays: ReadonlyArray<Replay>, sent: number): string => {
  const sending = replays.filter(({ skipped }) => skipped === undefined)
  return JSON.stringify({
    chosen: replays.length,
    to_send: sending.length,
    skipped: Object.fromEntries(countsOf(replays)),
    sent,
    samples: sending.slice(0, 100).map(({ address, code, id, offset, outcomeId, partition }) => ({
      outcome_id: outcomeId,
      outcomecode: code,
      partition,
      offset,
      address,
      id
    }))
  })
}

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

/** `origin-regions replay`: sends requests again that had certain outcomes. */
export const replayCommand = Command.make(
  "replay",
  parameters,
  Effect.fn("replay")(function*({ apply, code, deadLetters, force, json, rate, since, zone }) {
    const settings = yield* CliSettings
    if (code.length === 0 && !deadLetters) {
      return yield* misuse("Say which outcomes are meant by --code, or take all --dead-letters (see replay --help).")
    }
    const moment = yield* sinceMoment(since)
    const filter = { topic: settings.requestsTopic, codes: new Set(code), zone: Option.getOrUndefined(zone) }
    const working = Effect.gen(function*() {
      yield* sayingWhereItWaits(settings)(KafkaAdmin.use(({ partitionCount }) => partitionCount(filter.topic)))
      const selection = yield* select(filter, deadLetters ? "dead letters" : "outcomes", moment)
      if (selection.overflow > 0) {
        const many = (selection.size + selection.overflow).toLocaleString("en")
        return yield* misuse(`${many} are chosen, more than can be sent again at once: narrow it by --zone or --since.`)
      }
      const replays = selection.replays(yield* Clock.currentTimeMillis, force)
      const records = replays.flatMap(({ record }) => record === undefined ? [] : [{ topic: filter.topic, record }])
      if (!json) yield* Console.log(asText(replays))
      if (apply) {
        const { send } = yield* KafkaProducer
        yield* paced(Stream.fromIterable(records), rate, send)
      }
      if (json) return yield* Console.log(asJson(replays, apply ? records.length : 0))
      yield* Console.log(
        apply
          ? `Sent ${records.length} ${records.length === 1 ? "request" : "requests"} to ${filter.topic}.`
          : `Nothing was sent. With --apply they are, ${rate} a second.`
      )
    })
    yield* working.pipe(
      Effect.provide([
        KafkaAdmin.layer(settings.kafka),
        KafkaScan.layer(settings.kafka),
        KafkaProducer.layer(settings.kafka)
      ]),
      Effect.mapError((error) => error._tag === "KafkaError" ? kafkaFailed(error, settings) : error)
    )
  })
).pipe(
  Command.withDescription([
    "Send requests again that had certain outcomes. Without --apply it shows what it would send.",
    "",
    "  Each is sent as it was, with an id of its own that follows from the outcome's, and that as causationid.",
    "  None is sent twice, and none that a later request of the same key has overtaken, unless --force says so.",
    "",
    `  ${exitCodes({ 0: "done, or shown" })}`
  ].join("\n")),
  Command.withShortDescription("Send requests again that had certain outcomes"),
  Command.withExamples([
    {
      command: "origin-regions replay --code 1157 --zone demo-shop --since \"24 hours\"",
      description: "See which requests of a zone named a region that there was not"
    },
    {
      command: "origin-regions replay --code 1157 --zone demo-shop --since \"24 hours\" --apply --rate 20",
      description: "Send them again, twenty a second"
    },
    {
      command: "origin-regions replay --dead-letters --code gave_up --apply",
      description: "Send again what was given up"
    }
  ])
)
