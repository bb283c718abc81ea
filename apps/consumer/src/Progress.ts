import { crc32 } from "node:zlib"

/** What a group commits for a partition: the next offset to read, and in the metadata which offsets beyond it are done. */
export interface CommittedProgress {
  readonly offset: number
  readonly metadata: string
}

/** A run of offsets that are done, `end` excluded. */
interface DoneRun {
  readonly start: number
  readonly end: number
}

/**
 * How far undone offsets may lie apart. Bounds the metadata: Kafka refuses more than 4,096 characters (`offset.metadata.max.bytes` counts
 * characters), and a bit for each of these offsets takes 2,667.
 */
const MAX_SPAN = 16_000

/** With no more undone offsets than this, their runs fit into the metadata however far apart they are: at most nine bytes each. */
const ALWAYS_FITTING = 200

const VERSION = "1"

/**
 * Which records of one partition are done, out of order, and what may be committed because of it. Plain and synchronous: it belongs to one
 * assignment of the partition and is thrown away with it.
 *
 * Only records that were received and are not done keep the commit back: offsets that do not exist (compaction, transaction markers, aborted
 * records) need no special case.
 */
export class PartitionProgress {
  readonly #undone = new Set<number>()
  readonly #doneBefore: ReadonlyArray<DoneRun>
  #nextDoneBefore = 0
  #position: number
  #committed: CommittedProgress

  /** Goes on from what the group has committed. Metadata that is not ours or is damaged counts as none; `intact` says which. */
  constructor(committed: CommittedProgress) {
    const runs = decodeRuns(committed)
    this.intact = committed.metadata === "" || runs !== undefined
    this.#doneBefore = runs ?? []
    this.#position = committed.offset
    this.#committed = committed
  }

  readonly intact: boolean

  /** The next offset to be received. */
  get position(): number {
    return this.#position
  }

  /** Records received and not done. */
  get undone(): number {
    return this.#undone.size
  }

  /** What the group had at first, or what was last committed here. */
  get committed(): CommittedProgress {
    return this.#committed
  }

  /** Whether the group still has what was last committed here: nobody else has worked on the partition since. */
  isAt(committed: CommittedProgress): boolean {
    return committed.offset === this.#committed.offset && committed.metadata === this.#committed.metadata
  }

  /** Whether the last commit says all that a snapshot would. */
  get isCommitted(): boolean {
    return this.isAt(this.snapshot())
  }

  /** The first offset that is not done: what a commit says to read next. */
  get head(): number {
    for (const offset of this.#undone) return offset
    return this.#position
  }

  /** Whether another record, at this offset, can be taken without the metadata growing too long. */
  hasRoomFor(offset: number): boolean {
    return offset - this.head < MAX_SPAN || this.#undone.size < ALWAYS_FITTING
  }

  /** Takes a record, in the order of offsets; answers whether it is to be processed, or was done before. */
  receive(offset: number): boolean {
    this.#position = offset + 1
    let run = this.#doneBefore[this.#nextDoneBefore]
    while (run !== undefined && run.end <= offset) run = this.#doneBefore[++this.#nextDoneBefore]
    if (run !== undefined && run.start <= offset) return false
    this.#undone.add(offset)
    return true
  }

  /** Everything before `offset` has been received or does not exist. */
  advance(offset: number): void {
    if (offset > this.#position) this.#position = offset
  }

  /** The record's outcome has been published. */
  done(offset: number): void {
    this.#undone.delete(offset)
  }

  /** The progress as it stands now, to be committed. */
  snapshot(): CommittedProgress {
    const offset = this.head
    return { offset, metadata: encodeRuns(offset, this.#doneRuns(offset)) }
  }

  /** A commit of a snapshot has succeeded. */
  settled(snapshot: CommittedProgress): void {
    this.#committed = snapshot
  }

  /** The runs of done offsets between the head and the last received offset, and those beyond that were done before. */
  #doneRuns(head: number): ReadonlyArray<DoneRun> {
    const runs: Array<DoneRun> = []
    let start = head
    for (const offset of this.#undone) {
      addRun(runs, start, offset)
      start = offset + 1
    }
    addRun(runs, start, this.#position)
    for (const run of this.#doneBefore) addRun(runs, Math.max(run.start, this.#position), run.end)
    return runs
  }
}

/** Adds a run that lies behind the others; one without offsets counts for nothing. */
const addRun = (runs: Array<DoneRun>, start: number, end: number): void => {
  const last = runs.at(-1)
  if (end <= start) return
  if (last?.end === start) runs[runs.length - 1] = { start: last.start, end }
  else runs.push({ start, end })
}

/*
 * The metadata: version "." offset that it was made for "." CRC-32 of both and the payload "." payload. The payload is the shorter of two forms in
 * base64url: `r`, the lengths of undone and done runs in turn as varints; `b`, the lengths of all before the last run and of the last run as
 * varints, then a bit for each offset before the last run, set where it is done. The last run goes as far as offsets were read, and that can be any
 * number of them that never existed.
 */

const encodeRuns = (head: number, runs: ReadonlyArray<DoneRun>): string => {
  if (runs.length === 0) return ""
  const lengths = runLengths(head, runs)
  const bits = bitmap(head, runs)
  const payload = bits === undefined || lengths.length <= bits.length
    ? `r${Buffer.from(lengths).toString("base64url")}`
    : `b${Buffer.from(bits).toString("base64url")}`
  return `${VERSION}.${head}.${checksum(head, payload)}.${payload}`
}

const checksum = (head: number, payload: string): string => crc32(`${VERSION}.${head}.${payload}`).toString(16)

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

const pushVarint = (bytes: Array<number>, value: number): void => {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

/** `undefined` where the offsets reach too far for a bit each. */
const bitmap = (head: number, runs: ReadonlyArray<DoneRun>): ReadonlyArray<number> | undefined => {
  const last = runs.at(-1) ?? { start: head, end: head }
  const span = last.start - head
  if (span > MAX_SPAN) return undefined
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

const METADATA = /^1\.(\d{1,16})\.([0-9a-f]{1,8})\.([rb])([A-Za-z0-9_-]+)$/

const decodeRuns = ({ metadata, offset }: CommittedProgress): ReadonlyArray<DoneRun> | undefined => {
  const match = METADATA.exec(metadata)
  if (match === null) return undefined
  const [, head, sum, form, text = ""] = match
  if (Number(head) !== offset || checksum(offset, `${form}${text}`) !== sum) return undefined
  const payload = Buffer.from(text, "base64url")
  return form === "r" ? readRunLengths(offset, payload) : readBitmap(offset, payload)
}

/** The varints at the front of the bytes, up to `count` of them, and the bytes behind them; `undefined` where the last is cut off. */
const readVarints = (
  bytes: Uint8Array,
  count: number
): { readonly values: ReadonlyArray<number>; readonly rest: Uint8Array } | undefined => {
  const values: Array<number> = []
  let index = 0
  while (values.length < count && index < bytes.length) {
    let value = 0
    let scale = 1
    let byte = 0x80
    while (byte >= 0x80) {
      byte = bytes[index++] ?? Number.NaN
      value += (byte & 0x7f) * scale
      scale *= 0x80
    }
    if (Number.isNaN(byte) || !Number.isSafeInteger(value)) return undefined
    values.push(value)
  }
  return { values, rest: bytes.subarray(index) }
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
