import { Logger } from "effect"
import { oneOf } from "./SettingType.ts"

/** The forms that a log can have. */
export const logFormats = oneOf(["json", "pretty", "logfmt"])

export type LogFormat = typeof logFormats.standIn

/** What ends a line somewhere, or does something to a terminal. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/gu

const escaped = (text: string): string =>
  text.replaceAll(CONTROL, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Texts of others can be as long as they like. */
const LONGEST = 256

/** A text of somebody else's as a line can have it, in the message or in a field: within bounds, and nothing but text. */
export const legible = (text: string, longest = LONGEST): string =>
  escaped(text.length > longest ? `${text.slice(0, longest)}…` : text)

const line = (format: Logger.Logger<unknown, string>) => Logger.withConsoleLog(Logger.map(format, escaped))

const part = (value: unknown): unknown => typeof value === "string" ? escaped(value) : value

/** Its own line ends and colours stay; the parts of a message that are not text it prints escaped by itself. */
const pretty = () => {
  const inner = Logger.consolePretty()
  return Logger.make<unknown, void>((options) => {
    const { message } = options
    inner.log({ ...options, message: Array.isArray(message) ? message.map(part) : part(message) })
  })
}

const loggers = {
  json: () => line(Logger.formatJson),
  logfmt: () => line(Logger.formatLogFmt),
  pretty
}

/**
 * Logs on stdout in this form. Messages have texts of others in them, such as what an API has answered: whatever these are, they begin no line of their own
 * and do nothing to a terminal.
 */
export const loggerOf = (format: LogFormat): Logger.Logger<unknown, void> => loggers[format]()
