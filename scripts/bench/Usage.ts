import { type ProcessUsage, processUsage } from "@origin-regions/testkit/ProcessUsage"
import { Effect, Option } from "effect"
import { readFile } from "node:fs/promises"

/** What a process has used; not a number where only Linux tells. */
export const usageOf = (pid: number): Effect.Effect<ProcessUsage> =>
  Effect.map(
    processUsage(pid),
    Option.getOrElse(() => ({
      cpuSeconds: Number.NaN,
      residentBytes: Number.NaN,
      peakResidentBytes: Number.NaN
    }))
  )

const TICKS_PER_SECOND = 100

/** Processor time that the machine has spent on anything, in seconds; not a number where only Linux tells. */
export const machineCpuSeconds: Effect.Effect<number> = Effect.tryPromise(() => readFile("/proc/stat", "utf8")).pipe(
  Effect.map((stat) => {
    const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = stat.split(/\s+/, 8).slice(1).map(
      Number
    )
    return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND
  }),
  Effect.orElseSucceed(() => Number.NaN)
)
