import { Operation } from "@origin-regions/domain/Operation"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Clock, Console, Duration, Effect, FileSystem, Layer, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import {
  CommandError,
  InvalidRequests,
  NotAllAnswered,
  NotAllSucceeded,
  UnreadableFile,
  UnwritableFile,
  WrongUsage
} from "./CommandError.ts"
import {
  failedRows,
  interruptedText,
  outcomeJson,
  outcomeLine,
  outcomeSummary,
  outcomeSummaryJson
} from "./EmitReport.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { kindOf } from "./OutcomeTable.ts"
import { type AnsweredRow, AwaitedOutcomes, readAwaited, tellingOfSilence } from "./OutcomeWait.ts"
import { perSecondFlag } from "./Pace.ts"
import { besideProgress, showingProgress } from "./Progress.ts"
import { openRequestFile } from "./RequestFile.ts"
import { formatOf, type RequestRow, requestRows, rowFormats } from "./RequestRows.ts"
import { nothingSent, sendRows } from "./RequestSending.ts"
import { checkRequest, NOT_JSON, requestText } from "./RequestText.ts"
import { typedDuration } from "./TypedDuration.ts"

const DEFAULT_SOURCE = "/origin-regions/cli"

/** The flag that a field of the request is given by. */
const flagOfPath: Readonly<Record<string, string>> = {
  "id": "--id",
  "source": "--source",
  "expirytime": "--expires",
  "data.zone_id": "--zone",
  "data.ip": "--ip",
  "data.vendor": "--vendor",
  "data.region": "--region"
}

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const parameters = {
  operation: Argument.Literals("operation", Operation.literals).pipe(
    Argument.withDescription("What to ask for; left out with --file"),
    Argument.optional
  ),
  zone: text("zone", "The zone's id"),
  ip: text("ip", "The origin's IPv4 or IPv6 address, in any spelling"),
  vendor: text("vendor", `The cloud: ${Vendor.schema.literals.join(", ")}`),
  region: text("region", "The cloud's own name for the region, such as us-east-1"),
  id: text("id", "The request's id; a random UUID by default"),
  source: text("source", `The requests' source; ${DEFAULT_SOURCE} by default`),
  expires: text("expires", "When requests must no longer be applied, such as 2030-01-31T12:00:00Z"),
  file: text("file", "Send the requests of this file; - is the standard input"),
  format: Flag.Literals("format", rowFormats).pipe(
    Flag.withDescription("What the file is; by default what its name says (.csv, .tfstate), and otherwise jsonl"),
    Flag.optional
  ),
  rowOperation: Flag.Literals("operation", Operation.literals).pipe(
    Flag.withDescription("What the file's rows ask for that don't say so; upsert by default"),
    Flag.optional
  ),
  rate: Flag.optional(perSecondFlag("Send no more than so many requests a second, such as 100/s")),
  wait: Flag.Boolean("wait").pipe(
    Flag.withDescription("Wait until every request is answered, and say what came of them"),
    Flag.withDefault(false)
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.withDescription("With --wait: wait no longer than so long once all is sent, such as 30s or 5m"),
    Flag.filterMap(
      (duration) => Option.fromUndefinedOr(typedDuration(duration)),
      () => "a duration such as 30s, 5m or 1h"
    ),
    Flag.optional
  ),
  failedTo: text(
    "failed-to",
    "With --wait: write what did not succeed to this file (.csv or JSON lines), to correct it"
  ),
  allowInvalid: Flag.Boolean("allow-invalid").pipe(
    Flag.withDescription("Send also what can only be rejected"),
    Flag.withDefault(false)
  ),
  json: jsonFlag(
    "Print JSON: with --wait each outcome as it comes, one a line, and at last how many were sent and got which code"
  )
}

type Flags = Command.Command.Config.Infer<typeof parameters>

/** What is to be sent. */
interface Requests {
  /** Can be read again, and is the same each time. */
  readonly rows: Stream.Stream<RequestRow, CommandError>
  /** Nothing has changed since it was read first. */
  readonly unchanged: Effect.Effect<void, CommandError>
  /** What cannot be without a request. */
  readonly name: string
  /** Of a single request. */
  readonly id: string | undefined
}

const singleRequest = Effect.fnUntraced(function*(operation: Operation, flags: Flags) {
  const { uuidV4 } = yield* SecureRandom.SecureRandom
  const id = Option.isSome(flags.id) ? flags.id.value : yield* uuidV4()
  const requested = requestText({
    operation,
    id,
    source: Option.getOrElse(flags.source, () => DEFAULT_SOURCE),
    time: formatTimestamp(yield* Clock.currentTimeMillis),
    zone: Option.getOrUndefined(flags.zone),
    ip: Option.getOrUndefined(flags.ip),
    vendor: Option.getOrUndefined(flags.vendor),
    region: Option.getOrUndefined(flags.region),
    expires: Option.getOrUndefined(flags.expires)
  })
  const row: RequestRow = {
    number: 1,
    place: "",
    text: requested,
    problems: () =>
      checkRequest(requested).map(({ message, path }) => message.replace(/^\w+/, flagOfPath[path] ?? "$&"))
  }
  const requests: Requests = { rows: Stream.make(row), unchanged: Effect.void, name: "The command line", id }
  return requests
})

const requestsOfFile = Effect.fnUntraced(function*(path: string, flags: Flags) {
  const { uuidV4 } = yield* SecureRandom.SecureRandom
  const defaults = {
    operation: Option.getOrElse(flags.rowOperation, () => "upsert" as const),
    source: Option.getOrElse(flags.source, () => DEFAULT_SOURCE),
    time: formatTimestamp(yield* Clock.currentTimeMillis),
    expires: Option.getOrUndefined(flags.expires),
    id: yield* uuidV4()
  }
  const isReadAgain = !flags.allowInvalid || Option.isSome(flags.failedTo)
  const file = yield* openRequestFile(path, isReadAgain ? "again" : "once")
  const requests: Requests = {
    rows: requestRows(Option.getOrElse(flags.format, () => formatOf(path)), file.bytes, defaults).pipe(
      Stream.mapError((error) =>
        error._tag === "CommandError"
          ? error
          : new CommandError({ reason: new UnreadableFile({ path: file.name, problem: error.problem }) })
      )
    ),
    unchanged: file.unchanged,
    name: file.name,
    id: undefined
  }
  return requests
})

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

/** Flags that are about a single request, and those that are about many. */
const ofOne = ["zone", "ip", "vendor", "region", "id"] as const
const ofMany = { format: "--format", rowOperation: "--operation" } as const

const readRequests = (flags: Flags) => {
  if (Option.isSome(flags.failedTo) && !flags.wait) return misuse("--failed-to goes with --wait.")
  if (Option.isSome(flags.timeout) && !flags.wait) return misuse("--timeout goes with --wait.")
  if (Option.isSome(flags.file)) {
    const given = ofOne.filter((name) => Option.isSome(flags[name])).map((name) => `--${name}`)
    if (Option.isSome(flags.operation)) given.unshift(flags.operation.value)
    return given.length === 0
      ? requestsOfFile(flags.file.value, flags)
      : misuse(`The requests come from --file, so leave out ${given.join(", ")}.`)
  }
  for (const name of ["format", "rowOperation"] as const) {
    if (Option.isSome(flags[name])) return misuse(`${ofMany[name]} goes with --file.`)
  }
  return Option.isSome(flags.operation)
    ? singleRequest(flags.operation.value, flags)
    : misuse("Say what to emit: create, upsert or delete with its flags, or --file with many (see emit --help).")
}

/** More problems are counted only. */
const SHOWN_PROBLEMS = 20

/** Reads everything before anything is sent; yields how many requests there are. */
const checkAll = Effect.fnUntraced(function*({ name, rows }: Requests, json: boolean) {
  let count = 0
  let more = 0
  let notJson = 0
  const problems: Array<string> = []
  yield* Stream.runForEachArray(rows, (batch) =>
    Effect.sync(() => {
      count += batch.length
      for (const { place, problems: find } of batch) {
        for (const problem of find()) {
          if (problem === NOT_JSON) notJson += 1
          if (problems.length < SHOWN_PROBLEMS) problems.push(place === "" ? problem : `${place}: ${problem}`)
          else more += 1
        }
      }
    })).pipe(showingProgress(() => ({ doing: "Checking", done: count, all: undefined })))
  if (count === 0) return yield* misuse(`${name} holds no request.`)
  if (notJson === count) {
    problems.splice(0, problems.length, `${name} has no line that is JSON: does --format say what it is?`)
    more = 0
  }
  if (problems.length > 0) {
    if (json) yield* Console.log(JSON.stringify({ sent: 0, problems, more }))
    return yield* new CommandError({ reason: new InvalidRequests({ problems, more }) })
  }
  return count
})

const counted = (count: number) => `${count} ${count === 1 ? "request" : "requests"}`

const writeFailed = Effect.fnUntraced(function*(
  path: string,
  { rows }: Requests,
  unsuccessful: ReadonlyArray<AnsweredRow>
) {
  const byNumber = new Map(unsuccessful.map((each) => [each.number, each]))
  const { head, line } = failedRows(path)
  const lines = [head]
  yield* Stream.runForEach(rows, (row) =>
    Effect.sync(() => {
      const failed = byNumber.get(row.number)
      if (failed !== undefined) lines.push(line(row, failed))
    }))
  yield* FileSystem.FileSystem.use((fs) => fs.writeFileString(path, lines.join(""))).pipe(
    Effect.mapError(({ message }) => new CommandError({ reason: new UnwritableFile({ path, problem: message }) }))
  )
})

const emit = Effect.fnUntraced(function*(requests: Requests, flags: Flags) {
  const settings = yield* CliSettings
  const { json } = flags
  const topic = settings.requestsTopic
  const all = flags.allowInvalid ? undefined : yield* checkAll(requests, json)
  yield* requests.unchanged
  const awaited = flags.wait ? new AwaitedOutcomes() : undefined
  const sent = nothingSent()
  let isAllSent = false
  const failing = Effect.mapError((error: Parameters<typeof kafkaFailed>[0]) => kafkaFailed(error, settings))

  /** Not kept for a program: it is told of each as it comes. */
  const unsuccessful: Array<AnsweredRow> = []
  const keeps = !json || Option.isSome(flags.failedTo)
  const hear = (answered: AnsweredRow) => {
    if (keeps && kindOf(answered.outcome) !== "succeeded") unsuccessful.push(answered)
    return json ? besideProgress(Console.log(outcomeJson(answered))) : Effect.void
  }
  const toldSent = Effect.suspend(() =>
    json
      ? Effect.void
      : Console.log(
        requests.id === undefined
          ? `Sent ${counted(sent.count)} to ${topic}.`
          : `Sent the request ${requests.id} to ${topic}.`
      )
  )
  const sendAndWait = Effect.gen(function*() {
    const allCame = awaited === undefined
      ? Effect.void
      : failing(yield* failing(sayingWhereItWaits(settings)(readAwaited(settings.outcomesTopic, awaited, hear))))
    const inTime = Option.match(flags.timeout, {
      onNone: () => allCame,
      onSome: (millis) => Effect.asVoid(Effect.timeoutOption(allCame, Duration.millis(millis)))
    })
    const waiting = awaited === undefined
      ? inTime
      : Effect.raceFirst(inTime, tellingOfSilence(awaited, (line) => besideProgress(Console.error(line))))
    yield* sendRows(requests.rows, { rate: Option.getOrUndefined(flags.rate), awaited, sent }).pipe(
      showingProgress(() => ({ doing: "Sending", done: sent.count, all })),
      Effect.tapError(() => sent.count === 0 ? Effect.void : Console.error(`Sent ${counted(sent.count)} before this:`)),
      Effect.tap(() => sent.count === 0 ? misuse(`${requests.name} holds no request.`) : toldSent),
      Effect.tap(() =>
        Effect.sync(() => {
          isAllSent = true
        })
      ),
      Effect.andThen(
        showingProgress(() => ({ doing: "Answered", done: awaited?.answered ?? 0, all: sent.count }))(waiting)
      ),
      Effect.onInterrupt(() =>
        Console.error(interruptedText({ topic, sent, all, isAllSent, unanswered: awaited?.unanswered }))
      )
    )
  })
  // What comes after the time is over counts no more, and is not told after the sum.
  yield* Effect.scoped(sendAndWait)
  if (Option.isSome(flags.failedTo)) yield* writeFailed(flags.failedTo.value, requests, unsuccessful)
  if (json) {
    const id = requests.id === undefined ? {} : { id: requests.id }
    const outcomes = awaited === undefined ? {} : outcomeSummaryJson(awaited)
    yield* Console.log(JSON.stringify({ topic, sent: sent.count, ...id, ...outcomes }))
  } else if (awaited !== undefined) {
    const { latest } = awaited
    if (requests.id === undefined) yield* Console.log(outcomeSummary(awaited, unsuccessful))
    else if (latest !== undefined) yield* Console.log(outcomeLine(latest))
  }
  if (awaited === undefined) return
  if (awaited.nameless > 0) {
    yield* Console.error(
      `${counted(awaited.nameless)} without id and source can't be told from others, and were not waited for.`
    )
  }
  const failed = awaited.unsuccessful + awaited.nameless
  if (awaited.unanswered > 0) {
    return yield* new CommandError({
      reason: new NotAllAnswered({ unanswered: awaited.unanswered, unsuccessful: failed, all: sent.count })
    })
  }
  if (failed > 0) {
    return yield* new CommandError({ reason: new NotAllSucceeded({ unsuccessful: failed, all: sent.count }) })
  }
})

/** `origin-regions emit`: sends one request made of flags, or many from a file, all checked before any is sent. */
export const emitCommand = Command.make(
  "emit",
  parameters,
  Effect.fn("emit")(function*(flags) {
    const { kafka } = yield* CliSettings
    const requests = yield* readRequests(flags)
    yield* Effect.provide(
      emit(requests, flags),
      Layer.mergeAll(KafkaProducer.layer(kafka), KafkaAdmin.layer(kafka), KafkaTopicReader.layer(kafka))
    )
  })
).pipe(
  Command.withDescription([
    "Send mapping requests to Kafka. All are checked before any is sent.",
    "",
    "  A file has one request a line: a CloudEvent, or a row such as",
    "  {\"operation\":\"upsert\",\"zone_id\":\"demo-shop\",\"ip\":\"192.0.2.10\",\"vendor\":\"aws\",\"region\":\"us-east-1\"}.",
    "  A CSV file names the same columns in its first line. Of a Terraform state, the resources of type",
    "  cloudflare_origin_cloud_region are sent. What export writes as jsonl or csv is good, too.",
    "",
    `  ${
      exitCodes({
        0: "all was sent, and with --wait all of it succeeded",
        3: "all was sent, and not all of it succeeded (only with --wait)",
        4: "all was sent, and not all of it was answered in time (only with --timeout)"
      })
    }`
  ].join("\n")),
  Command.withShortDescription("Send mapping requests"),
  Command.withExamples([
    {
      command: "origin-regions emit create --zone demo-shop --ip 192.0.2.10 --vendor aws --region us-east-1",
      description: "Ask for a mapping where the address has none"
    },
    {
      command:
        "origin-regions emit upsert --zone demo-shop --ip 2001:db8::10 --vendor gcp --region europe-west1 --wait",
      description: "Ask for a mapping, whether the address has one or not, and wait for what comes of it"
    },
    {
      command: "origin-regions emit delete --zone demo-shop --ip 192.0.2.44 --json",
      description: "Ask for the address to have no mapping, from a program"
    },
    {
      command: "origin-regions emit --file examples/requests.jsonl --allow-invalid",
      description: "Send the examples, the bad ones included"
    },
    {
      command: "origin-regions emit --file examples/rows.csv --rate 100/s --wait --failed-to failed.csv",
      description: "Send the rows of a table slowly, and keep those that did not succeed, to be corrected"
    },
    {
      command: "cat examples/terraform.tfstate | origin-regions emit --file - --format terraform --operation create",
      description: "Send what another program writes"
    }
  ])
)
