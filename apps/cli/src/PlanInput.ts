import type { OutgoingRecord, RecordHeader } from "@origin-regions/domain/SourceRecord"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Clock, Duration, Effect, Option, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { CliSettings, kafkaFailed } from "./CliSettings.ts"
import { CommandError, UnreadableFile, WrongUsage } from "./CommandError.ts"
import { openRequestFile } from "./RequestFile.ts"
import { formatOf, type RequestRow, requestRows, type RowFormat } from "./RequestRows.ts"
import { requestTextRecord } from "./RequestText.ts"

/** A request that is planned for, and where it is. */
export interface PlannedRecord {
  readonly place: string
  readonly record: OutgoingRecord
  /** What is wrong with a row that is no request. */
  readonly problems: ReadonlyArray<string>
}

/** The rows of a file, which can be read again and are the same each time. */
export const rowsOfFile = Effect.fnUntraced(function*(path: string, format: Option.Option<RowFormat>) {
  const { uuidV4 } = yield* SecureRandom.SecureRandom
  const defaults = {
    operation: "upsert",
    source: "/origin-regions/cli",
    time: formatTimestamp(yield* Clock.currentTimeMillis),
    expires: undefined,
    id: yield* uuidV4()
  } as const
  const file = yield* openRequestFile(path, "again")
  return {
    name: file.name,
    rows: requestRows(Option.getOrElse(format, () => formatOf(path)), file.bytes, defaults).pipe(
      Stream.mapError((error) =>
        error._tag === "CommandError"
          ? error
          : new CommandError({ reason: new UnreadableFile({ path: file.name, problem: error.problem }) })
      )
    ),
    unchanged: file.unchanged
  }
})

export const plannedRow = (row: RequestRow): PlannedRecord => ({
  place: row.place,
  record: requestTextRecord(row.text),
  problems: row.problems()
})

/** `P/FROM-TO`: records of one partition of the requests topic, the last included. */
export interface TopicRange {
  readonly partition: number
  readonly first: number
  readonly last: number
}

export const parseTopicRange = (text: string): TopicRange | undefined => {
  const [, partition, first, last = first] = /^(\d{1,9})\/(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? []
  if (partition === undefined || first === undefined || Number(last) < Number(first)) return undefined
  return { partition: Number(partition), first: Number(first), last: Number(last) }
}

const PATIENCE = Duration.seconds(10)

/** Each is kept in memory. */
const MOST_RECORDS = 100_000

const copy = (bytes: Uint8Array | null): Uint8Array | null => bytes === null ? null : new Uint8Array(bytes)

/** The records of ranges, range by range. */
export const recordsOfRanges = Effect.fnUntraced(function*(ranges: ReadonlyArray<TopicRange>) {
  const settings = yield* CliSettings
  const { scan } = yield* KafkaScan
  if (ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0) > MOST_RECORDS) {
    const problem = `That is more than ${MOST_RECORDS.toLocaleString("en")} records: plan for fewer at a time.`
    return yield* new CommandError({ reason: new WrongUsage({ problem }) })
  }
  const ends = yield* Effect.mapError(
    KafkaAdmin.use(({ endOffsets }) => endOffsets(settings.requestsTopic)),
    (error) => kafkaFailed(error, settings)
  )
  const found: Array<PlannedRecord> = []
  for (const { first, last, partition } of ranges) {
    const end = ends.get(partition)
    if (end === undefined || first >= end) {
      const what = end === undefined ? "is no such partition" : `are offsets up to ${end - 1}`
      const problem = `There is no request at ${partition}/${first}: there ${what} in ${settings.requestsTopic}.`
      return yield* new CommandError({ reason: new WrongUsage({ problem }) })
    }
    yield* scan({
      topic: settings.requestsTopic,
      from: new Map([[partition, first]]),
      to: new Map([[partition, Math.min(last + 1, end)]]),
      patience: PATIENCE
    }, (_, { headers, key, offset, value }) => {
      found.push({
        place: `${partition}/${offset}`,
        problems: [],
        record: {
          key: copy(key),
          value: copy(value),
          headers: headers.map(({ name, value }): RecordHeader => ({ name, value: copy(value) }))
        }
      })
    }).pipe(Effect.mapError((error) => kafkaFailed(error, settings)))
  }
  return found
})
