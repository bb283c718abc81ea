import { type Choices, seededChoices } from "@origin-regions/testkit/SeededChoices"
import type { Fault } from "./Faults.ts"

/** A fault to come. */
export interface PlannedFault {
  readonly name: string
  readonly part: Fault["part"]
  /** How long the system is left alone after the fault of the same part before, in milliseconds. */
  readonly pause: number
  /** What decides all that the fault leaves open. */
  readonly choices: Choices
}

/** So many of the faults, as the seed decides: not even how long one takes changes what the others are. */
export const planFaults = (
  seed: string,
  count: number,
  faults: ReadonlyArray<readonly [name: string, fault: Pick<Fault, "part">]>
): ReadonlyArray<PlannedFault> => {
  const choices = seededChoices(seed)
  return Array.from({ length: count }, (_, index) => {
    const pause = 200 + choices.below(2_300)
    const [name = "", fault] = choices.pick(faults) ?? []
    return { name, part: fault?.part ?? "consumers", pause, choices: seededChoices(`${seed} ${index}`) }
  })
}
