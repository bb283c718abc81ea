import * as NodeStream from "@effect/platform-node/NodeStream"
import { Operation } from "@origin-regions/domain/Operation"
import { type CsvError, parse } from "csv-parse"
import { Array as Arr, Effect, Schema, Stream } from "effect"
import { checkRequest, requestText } from "./RequestText.ts"

/** What a file of requests can be. */
export const rowFormats = ["jsonl", "csv", "terraform"] as const
export type RowFormat = typeof rowFormats[number]

/** The format that a file's name stands for. */
export const formatOf = (path: string): RowFormat =>
  path.endsWith(".csv") ? "csv" : path.endsWith(".tfstate") ? "terraform" : "jsonl"

/** A file cannot be read any further. */
export class UnreadableRows extends Schema.TaggedError<UnreadableRows>()("UnreadableRows", {
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/** What rows become requests with. */
export interface RowDefaults {
  /** For rows that do not say what they ask for. */
  readonly operation: Operation
  readonly source: string
  /** RFC 3339. */
  readonly time: string
  readonly expires: string | undefined
  /** Rows without an id get this one, and their number behind it. */
  readonly id: string
}

/** A request of a file. `number` tells it from the others: the line, counted from 1 with empty ones, or the resource. */
export interface RequestRow {
  readonly number: number
  /** Where it is, for a person. */
  readonly place: string
  /** The JSON text of its CloudEvent. */
  readonly text: string
  /** Everything that is wrong with it; empty for a good one. */
  readonly problems: () => ReadonlyArray<string>
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isOperation = Schema.is(Operation)

const messagesOf = (text: string) => checkRequest(text).map(({ message }) => message)

/** Only the fields of a row that are named here count; an address may be called as the API calls it. */
const rowRequest = (
  fields: Readonly<Record<string, unknown>>,
  number: number,
  place: string,
  defaults: RowDefaults
): RequestRow => {
  const own = (name: string) => Object.hasOwn(fields, name) ? fields[name] ?? undefined : undefined
  const operation = own("operation") ?? defaults.operation
  const text = requestText({
    operation,
    id: own("id") ?? `${defaults.id}-${number}`,
    source: defaults.source,
    time: defaults.time,
    zone: own("zone_id"),
    ip: own("ip") ?? own("origin_ip"),
    vendor: own("vendor"),
    region: own("region"),
    expires: own("expires") ?? defaults.expires
  })
  return {
    number,
    place,
    text,
    problems: () =>
      isOperation(operation)
        ? messagesOf(text)
        : [`operation must be one of ${Operation.literals.join(", ")}, not ${JSON.stringify(operation)}`]
  }
}

/** What only an event has. */
const ofEvents = ["specversion", "type", "data", "data_base64"]

const jsonLine = (line: string, number: number, defaults: RowDefaults): RequestRow => {
  const place = `line ${number}`
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    value = undefined
  }
  return isObject(value) && !ofEvents.some((name) => Object.hasOwn(value, name))
    ? rowRequest(value, number, place, defaults)
    : { number, place, text: line, problems: () => messagesOf(line) }
}

const jsonLines = <E>(bytes: Stream.Stream<Uint8Array, E>, defaults: RowDefaults) =>
  Stream.suspend(() => {
    let number = 0
    return bytes.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.map((line) => ({ line: line.trim(), number: ++number })),
      Stream.filter(({ line }) => line !== ""),
      Stream.map(({ line, number }) => jsonLine(line, number, defaults))
    )
  })

/** A record of csv-parse with `info`. */
interface CsvRecord {
  readonly record: Readonly<Record<string, string>>
  readonly info: { readonly lines: number }
}

const headOf = (names: ReadonlyArray<string>) => {
  const head = names.map((name) => name.trim().toLowerCase())
  const missing = [
    ...head.includes("zone_id") ? [] : ["zone_id"],
    ...head.includes("ip") || head.includes("origin_ip") ? [] : ["ip"]
  ]
  if (missing.length > 0 && names.length === 1 && names[0]?.includes(";") === true) {
    throw new Error("its columns have semicolons between them: save it with commas")
  }
  if (missing.length > 0) {
    throw new Error(`the first line has to name the columns, and does not name ${missing.join(" and ")}`)
  }
  return head
}

/** What csv-parse finds wrong with a record, in our words. */
const csvProblem = (error: CsvError | undefined): string => {
  switch (error?.code) {
    case "CSV_RECORD_INCONSISTENT_COLUMNS": {
      const [, named, found] = /length is (\d+), got (\d+)/.exec(error.message) ?? []
      return `it has ${found} fields, and the first line names ${named}`
    }
    case "CSV_QUOTE_NOT_CLOSED":
      return "a quote opens here that is not closed"
    case "INVALID_OPENING_QUOTE":
    case "CSV_INVALID_CLOSING_QUOTE":
    case "CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE":
      return "a quote is in the middle of a field: put the whole field in quotes, and each quote within it twice"
    default:
      return error?.message ?? "it cannot be read"
  }
}

const csvLines = <E>(bytes: Stream.Stream<Uint8Array, E>, defaults: RowDefaults) =>
  Stream.suspend(() => {
    const broken: Array<RequestRow> = []
    /** The parser is ahead of what is read of it, and tells of broken lines at once. */
    const brokenBefore = (line: number): ReadonlyArray<RequestRow> => {
      const end = broken.findIndex(({ number }) => number > line)
      return broken.splice(0, end === -1 ? broken.length : end)
    }
    const records = bytes.pipe(
      NodeStream.pipeThroughDuplex<CsvRecord, UnreadableRows>({
        evaluate: () =>
          parse({
            bom: true,
            columns: headOf,
            info: true,
            trim: true,
            skip_empty_lines: true,
            skip_records_with_error: true,
            raw: true,
            on_skip: (error, raw = "") => {
              const number = Number(error?.["lines"] ?? 0)
              const problem = csvProblem(error)
              broken.push({ number, place: `line ${number}`, text: raw, problems: () => [problem] })
              return undefined
            }
          }),
        onError: (cause) => new UnreadableRows({ problem: cause instanceof Error ? cause.message : String(cause) })
      }),
      Stream.mapArray((batch) =>
        Arr.flatMap(batch, ({ info, record }) => {
          const given = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ""))
          return Arr.append(brokenBefore(info.lines), rowRequest(given, info.lines, `line ${info.lines}`, defaults))
        })
      )
    )
    return Stream.concat(records, Stream.suspend(() => Stream.fromIterable(broken)))
  })

const RESOURCE = "cloudflare_origin_cloud_region"

/** A state file of Terraform or OpenTofu, in its version 4, as far as it matters here. */
const TerraformState = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(4),
  resources: Schema.Array(Schema.Struct({
    module: Schema.optionalKey(Schema.String),
    mode: Schema.String,
    type: Schema.String,
    name: Schema.String,
    instances: Schema.Array(Schema.Struct({
      index_key: Schema.optionalKey(Schema.Union([Schema.String, Schema.Number])),
      attributes: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
    }))
  }))
}))

const terraformResources = <E>(bytes: Stream.Stream<Uint8Array, E>, defaults: RowDefaults) =>
  bytes.pipe(
    Stream.decodeText,
    (text) => Stream.fromEffect(Stream.mkString(text)),
    Stream.mapEffect((text) =>
      Effect.mapError(
        Schema.decodeUnknownEffect(TerraformState)(text),
        () => new UnreadableRows({ problem: "it is no Terraform state of version 4" })
      )
    ),
    Stream.flatMap(({ resources }) => {
      let number = 0
      return Stream.fromIterable(resources.flatMap(({ instances, mode, module, name, type }) =>
        mode === "managed" && type === RESOURCE
          ? instances.map(({ attributes, index_key }) => {
            const key = index_key === undefined ? "" : `[${JSON.stringify(index_key)}]`
            const place = `${module === undefined ? "" : `${module}.`}${type}.${name}${key}`
            const { id: _, ...mapping } = attributes ?? {}
            return rowRequest(mapping, ++number, place, defaults)
          })
          : []
      ))
    })
  )

/** The requests of a file, each with what is wrong with it. */
export const requestRows = <E>(
  format: RowFormat,
  bytes: Stream.Stream<Uint8Array, E>,
  defaults: RowDefaults
): Stream.Stream<RequestRow, E | UnreadableRows> =>
  format === "csv"
    ? csvLines(bytes, defaults)
    : format === "terraform"
    ? terraformResources(bytes, defaults)
    : jsonLines(bytes, defaults)
