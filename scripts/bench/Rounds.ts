import { Effect } from "effect"
import { printError } from "../ScriptRuntime.ts"

/** What a system came to, round by round. */
export interface Measured<S, A> {
  readonly system: S
  readonly rounds: ReadonlyArray<A>
}

/** One system after another, in each round another one first, so that whatever else the machine does meets all of them. Tells of each by its title. */
export const inRounds = Effect.fnUntraced(function*<S, A, E, R>(
  systems: ReadonlyArray<S>,
  rounds: number,
  titleOf: (system: S) => string,
  measure: (system: S) => Effect.Effect<A, E, R>
) {
  const results = systems.map((system) => ({ system, rounds: Array<A>() }))
  for (let round = 0; round < rounds; round++) {
    const first = round % Math.max(results.length, 1)
    for (const { rounds, system } of [...results.slice(first), ...results.slice(0, first)]) {
      const result = yield* measure(system)
      rounds.push(result)
      yield* printError(`Round ${round + 1}, ${titleOf(system)}: ${JSON.stringify(result)}`)
    }
  }
  return results satisfies ReadonlyArray<Measured<S, A>>
})
