import { Effect, Terminal } from "effect"
import { TerminalCapabilities } from "effect/cli"

/** How a table looks. */
export interface TableStyle {
  /** Columns to print in. */
  readonly width: number
  /** Columns for the requests' ids, if there is room. */
  readonly requestWidth: number
  /** Whether there is a column for the outcomes' times. */
  readonly timed: boolean
  readonly colors: boolean
}

/** As the terminal is; a usual width where the output goes elsewhere. */
export const tableStyle = Effect.fnUntraced(function*(
  { requestWidth, timed }: Pick<TableStyle, "requestWidth" | "timed">
) {
  const terminal = yield* Terminal.Terminal
  const columns = yield* terminal.columns
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const style: TableStyle = { width: columns > 0 ? columns : 120, requestWidth, timed, colors: canColor }
  return style
})
