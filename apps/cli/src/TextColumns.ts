import { CliOutput } from "effect/cli"

const GAP = "  "

/** What others have said and set must not reach the terminal as anything but text. */
export const plainText = (text: string): string => text.replaceAll(/\p{Cc}/gu, "\u{FFFD}")

/** Rows as lines whose cells begin below each other. */
export const textColumns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const texts = rows.map((row) => row.map(plainText))
  const widths = Array.from(
    { length: Math.max(0, ...texts.map((row) => row.length)) },
    (_, column) => Math.max(...texts.map((row) => CliOutput.displayWidth(row[column] ?? "")))
  )
  return texts.map((row) =>
    row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - CliOutput.displayWidth(cell))).join(GAP)
      .trimEnd()
  )
}
