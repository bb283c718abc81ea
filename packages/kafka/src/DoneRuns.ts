import { pushVarint, readVarints } from "./internal/Varints.ts"

/** A run of offsets that are done, `end` excluded. */
export interface DoneRun {
  readonly start: number
  readonly end: number
}

/** How far apart offsets may lie to have a bit each. */
export const BITMAP_SPAN = 8_000

/** Adds a run that lies behind the others; one without offsets counts for nothing. */
export const addRun = (runs: Array<DoneRun>, start: number, end: number): void => {
  const last = runs.at(-1)
  if (end <= start) return
  if (last?.end === start) runs[runs.length - 1] = { start: last.start, end }
  else runs.push({ start, end })
}

/*
 * Runs from an offset on are encoded in the shorter of two forms. `0`: the lengths of undone and done runs in turn, as varints. `1`: the lengths of all
 * before the last run and of the last run, as varints, then a bit for each offset before the last run, set where it is done. The last run goes as far
 * as offsets were read, and that can be any number of them that never existed.
 */

export const encodeRuns = (head: number, runs: ReadonlyArray<DoneRun>): ReadonlyArray<number> => {
  const lengths = runLengths(head, runs)
  const bits = bitmap(head, runs)
  return bits === undefined || lengths.length <= bits.length ? [0, ...lengths] : [1, ...bits]
}

const runLengths = (head: number, runs: ReadonlyArray<DoneRun>): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let at = head
  for (const { end, start } of runs) {
    pushVarint(bytes, start - at)
    pushVarint(bytes, end - start)
    at = end
  }
  return bytes
}

/** `undefined` where the offsets reach too far for a bit each. */
const bitmap = (head: number, runs: ReadonlyArray<DoneRun>): ReadonlyArray<number> | undefined => {
  const last = runs.at(-1) ?? { start: head, end: head }
  const span = last.start - head
  if (span > BITMAP_SPAN) return undefined
  const bytes: Array<number> = []
  pushVarint(bytes, span)
  pushVarint(bytes, last.end - last.start)
  const bits = new Uint8Array(Math.ceil(span / 8))
  for (const run of runs) {
    if (run === last) break
    for (let offset = run.start - head; offset < run.end - head; offset++) {
      bits[offset >> 3] = (bits[offset >> 3] ?? 0) | (1 << (offset & 7))
    }
  }
  for (const byte of bits) bytes.push(byte)
  return bytes
}

/** The runs that `encodeRuns` has encoded; `undefined` where the bytes are none. */
export const decodeRuns = (
  head: number,
  [form, ...payload]: ReadonlyArray<number>
): ReadonlyArray<DoneRun> | undefined => {
  const bytes = Uint8Array.from(payload)
  return form === 0 ? readRunLengths(head, bytes) : form === 1 ? readBitmap(head, bytes) : undefined
}

const readRunLengths = (head: number, payload: Uint8Array): ReadonlyArray<DoneRun> | undefined => {
  const read = readVarints(payload, payload.length)
  if (read === undefined || read.values.length % 2 === 1) return undefined
  const runs: Array<DoneRun> = []
  let at = head
  for (let index = 0; index < read.values.length; index += 2) {
    const start = at + (read.values[index] ?? 0)
    at = start + (read.values[index + 1] ?? 0)
    addRun(runs, start, at)
  }
  return runs
}

const readBitmap = (head: number, payload: Uint8Array): ReadonlyArray<DoneRun> | undefined => {
  const read = readVarints(payload, 2)
  const [span, last] = read?.values ?? []
  if (read === undefined || span === undefined || last === undefined) return undefined
  if (read.rest.length !== Math.ceil(span / 8)) return undefined
  const runs: Array<DoneRun> = []
  for (let offset = 0; offset < span; offset++) {
    const isDone = (((read.rest[offset >> 3] ?? 0) >> (offset & 7)) & 1) === 1
    if (isDone) addRun(runs, head + offset, head + offset + 1)
  }
  addRun(runs, head + span, head + span + last)
  return runs
}
