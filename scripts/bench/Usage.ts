import { type ProcessUsage, processUsage } from "@origin-regions/testkit/ProcessUsage"
import { Effect, Option } from "effect"

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
