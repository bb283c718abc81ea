/** A line of a table: what it is about, and a cell for each column. */
export interface Row {
  readonly name: string
  readonly cells: ReadonlyArray<string>
}

/** The lines of a table: names to the left, cells to the right. */
export const table = (head: Row, rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const all = [head, ...rows]
  const width = Math.max(...all.map(({ name }) => name.length))
  const widths = head.cells.map((_, column) => Math.max(...all.map(({ cells }) => cells[column]?.length ?? 0)))
  return all.map(({ cells, name }) =>
    [name.padEnd(width), ...cells.map((cell, column) => cell.padStart(widths[column] ?? 0))].join("  ").trimEnd()
  )
}

export const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`
export const milliseconds = (value: number): string => `${value.toFixed(1)} ms`
export const seconds = (value: number): string => `${value.toFixed(3)} s`
