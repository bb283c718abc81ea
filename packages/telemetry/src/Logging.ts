import { Layer, Logger, type LogLevel, References } from "effect"

const loggers = { json: Logger.consoleJson, pretty: Logger.consolePretty(), logfmt: Logger.consoleLogFmt } as const

/** What a line says of a request, or of whatever else it is about: names of OpenTelemetry where it has some. */
export type LogFields = Readonly<Record<string, string | number>>

/** Texts of others can be as long as they like. */
const MAX_FIELD = 256
const MAX_MESSAGE = 2_000

// What ends a line or moves a cursor: Unicode's control characters, and its separators of lines and paragraphs.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029]/gu

/** A text of others as a line can have it: it stays on that line, and no longer than is reasonable. */
export const legible = (text: string, longest = MAX_FIELD): string =>
  (text.length > longest ? `${text.slice(0, longest)}…` : text).replace(UNPRINTABLE, "\uFFFD")

const legibleMessage = (message: unknown): unknown =>
  typeof message === "string"
    ? legible(message, MAX_MESSAGE)
    : Array.isArray(message)
    ? message.map(legibleMessage)
    : message

/** The same with messages that can't be taken for several: what the API or a broker has said can be in them. */
const onOneLine = <A>(logger: Logger.Logger<unknown, A>): Logger.Logger<unknown, A> =>
  Logger.make((options) => logger.log({ ...options, message: legibleMessage(options.message) }))

/** Logs on stdout, in a form and from a level on. */
export const layerLogging = (
  { logFormat, logLevel }: { readonly logFormat: keyof typeof loggers; readonly logLevel: LogLevel.LogLevel }
): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([onOneLine(loggers[logFormat])]),
    Layer.succeed(References.MinimumLogLevel, logLevel)
  )
