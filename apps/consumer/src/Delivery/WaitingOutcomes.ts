import { Effect } from "effect"

/** Why outcomes can't be published just now. */
export interface WaitingOutcomes {
  readonly problem: () => string | undefined
  /** Says why they wait, once for each reason. */
  readonly tell: (problem: string) => Effect.Effect<void>
  readonly over: () => void
}

export const makeWaitingOutcomes = (): WaitingOutcomes => {
  let told: string | undefined
  return {
    problem: () => told,
    tell: (problem) => {
      if (problem === told) return Effect.void
      told = problem
      return Effect.logWarning(`${problem}. Outcomes wait; trying again`)
    },
    over: () => {
      told = undefined
    }
  }
}
