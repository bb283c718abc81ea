import { Effect, type Option } from "effect"
import { readFile } from "node:fs/promises"

/** What a process has used of the machine so far. */
export interface ProcessUsage {
  /** Processor time of all its threads. */
  readonly cpuSeconds: number
  /** Its memory now. */
  readonly residentBytes: number
  /** The most that it has ever had. */
  readonly peakResidentBytes: number
}

/** What Linux counts processor time in for its readers (USER_HZ), whatever it counts in itself. */
const TICKS_PER_SECOND = 100

/** As Linux tells it; none where the system is another, or where there is no such process. */
export const processUsage = (pid: number): Effect.Effect<Option.Option<ProcessUsage>> =>
  Effect.all([read(pid, "stat"), read(pid, "status")], { concurrency: 2 }).pipe(
    Effect.map(([stat, status]) => parse(stat, status)),
    Effect.option
  )

const read = (pid: number, file: string) => Effect.tryPromise(() => readFile(`/proc/${pid}/${file}`, "utf8"))

const parse = (stat: string, status: string): ProcessUsage => {
  // From the state on, which is the third: the second is a name with any characters in it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const bytes = (name: string) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1])
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: bytes("VmRSS"),
    peakResidentBytes: bytes("VmHWM")
  }
}
