import { type Choices, seededChoices } from "@origin-regions/testkit/SeededChoices"
import type { Fault } from "./Faults.ts"

/** A fault to come. */
export interface PlannedFault {
  readonly name: string
  readonly part: Fault["part"]
  /** How long the system is left alone after the fault of the same part before, in milliseconds. */
  readonly pause: number
  /** Whether it strikes only once the system is at work again: else it may meet one that still recovers from the fault before. */
  readonly atWork: boolean
  /** What decides all that the fault leaves open. */
  readonly choices: Choices
}

const AT_WORK = 0.6

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
    const atWork = choices.chance(AT_WORK)
    return { name, part: fault?.part ?? "consumers", pause, atWork, choices: seededChoices(`${seed} ${index}`) }
  })
}
