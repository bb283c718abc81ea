import { Operation } from "@origin-regions/domain/Operation"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { Vendor } from "@origin-regions/domain/Vendor"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Clock, Console, Effect, FileSystem, Option, Stdio, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, InvalidRequests, UnreadableFile, WrongUsage } from "./CommandError.ts"
import { checkRequest, requestLines, requestText, requestTextRecord } from "./RequestText.ts"

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
  source: text("source", `The request's source; ${DEFAULT_SOURCE} by default`),
  expires: text("expires", "When the request must no longer be applied, such as 2030-01-31T12:00:00Z"),
  file: text("file", "Send the requests of this file, one CloudEvent in JSON a line; - is the standard input"),
  allowInvalid: Flag.Boolean("allow-invalid").pipe(
    Flag.withDescription("Send also what can only be rejected"),
    Flag.withDefault(false)
  )
}

type Flags = {
  readonly [Name in Exclude<keyof typeof parameters, "allowInvalid" | "operation">]: Option.Option<string>
}

/** What is to be sent, with every problem of it, and how to say that it was. */
interface Batch {
  readonly texts: ReadonlyArray<string>
  readonly problems: ReadonlyArray<string>
  readonly sent: string
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
  const problems = checkRequest(requested).map(({ message, path }) => message.replace(/^\w+/, flagOfPath[path] ?? "$&"))
  return { texts: [requested], problems, sent: `Sent the request ${id}` }
})

const fileOfRequests = Effect.fnUntraced(function*(path: string) {
  const name = path === "-" ? "The standard input" : path
  const content = yield* Effect.mapError(
    readContent(path),
    ({ message, reason }) => {
      const problem = reason._tag === "NotFound" ? "there is no such file" : message
      return new CommandError({ reason: new UnreadableFile({ path: name, problem }) })
    }
  )
  const lines = requestLines(content)
  if (lines.length === 0) return yield* misuse(`${name} holds no request.`)
  const problems = lines.flatMap(({ number, text }) =>
    checkRequest(text).map(({ message }) => `line ${number}: ${message}`)
  )
  const sent = `Sent ${lines.length} ${lines.length === 1 ? "request" : "requests"}`
  return { texts: lines.map(({ text }) => text), problems, sent }
})

const readContent = Effect.fnUntraced(function*(path: string) {
  if (path !== "-") return yield* FileSystem.FileSystem.use((fs) => fs.readFileString(path))
  const { stdin } = yield* Stdio.Stdio
  return yield* Stream.mkString(Stream.decodeText(stdin))
})

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

const readBatch = (operation: Option.Option<Operation>, flags: Flags) => {
  const { file, ...others } = flags
  const given = Object.entries(others).filter(([, value]) => Option.isSome(value)).map(([name]) => `--${name}`)
  if (Option.isSome(file)) {
    if (Option.isSome(operation)) given.unshift(operation.value)
    return given.length === 0
      ? fileOfRequests(file.value)
      : misuse(`The requests come from --file, so leave out ${given.join(", ")}.`)
  }
  return Option.isSome(operation)
    ? singleRequest(operation.value, flags)
    : misuse("Say what to emit: create, upsert or delete with its flags, or --file with many (see emit --help).")
}

const send = Effect.fnUntraced(function*(records: ReadonlyArray<OutgoingRecord>) {
  const settings = yield* CliSettings
  const topic = settings.requestsTopic
  yield* KafkaProducer.use(({ send }) => send(records.map((record) => ({ topic, record })))).pipe(
    Effect.provide(KafkaProducer.layer(settings.kafka)),
    sayingWhereItWaits(settings),
    Effect.mapError((error) => kafkaFailed(error, settings))
  )
  return topic
})

/** `origin-regions emit`: sends one request made of flags, or many from a file, all checked before any is sent. */
export const emitCommand = Command.make(
  "emit",
  parameters,
  Effect.fn("emit")(function*({ allowInvalid, operation, ...flags }) {
    const { problems, sent, texts }: Batch = yield* readBatch(operation, flags)
    if (problems.length > 0 && !allowInvalid) {
      return yield* new CommandError({ reason: new InvalidRequests({ problems }) })
    }
    const topic = yield* send(texts.map(requestTextRecord))
    yield* Console.log(`${sent} to ${topic}.`)
  })
).pipe(
  Command.withDescription("Send mapping requests to Kafka. All are checked before any is sent."),
  Command.withShortDescription("Send mapping requests"),
  Command.withExamples([
    {
      command: "origin-regions emit create --zone demo-shop --ip 192.0.2.10 --vendor aws --region us-east-1",
      description: "Ask for a mapping where the address has none"
    },
    {
      command: "origin-regions emit upsert --zone demo-shop --ip 2001:db8::10 --vendor gcp --region europe-west1",
      description: "Ask for a mapping, whether the address has one or not"
    },
    {
      command: "origin-regions emit delete --zone demo-shop --ip 192.0.2.10",
      description: "Ask for the address to have no mapping"
    },
    {
      command: "origin-regions emit --file examples/requests.jsonl --allow-invalid",
      description: "Send the examples, the bad ones included"
    },
    { command: "cat requests.jsonl | origin-regions emit --file -", description: "Send what another program writes" }
  ])
)
