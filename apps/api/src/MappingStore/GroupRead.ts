import { Effect, Scheduler } from "effect"

/** A read that waits for its group: `run` does it and gives what tells the one who asked. */
interface Waiting {
  run(): () => void
  fail(cause: unknown): void
}

/**
 * Lets reads that arrive together share one transaction: to lock the file and let go of it takes longer than to read a row. It begins when all of
 * them have arrived, so that each sees what any process had acknowledged before it was asked. A read that fails leaves the others alone.
 */
export const groupRead = <E>(
  transaction: <A>(body: () => A) => A,
  failed: (cause: unknown) => E
): Effect.Effect<<A>(read: () => A) => Effect.Effect<A, E>> =>
  Effect.map(Scheduler.Scheduler, (scheduler) => {
    const dispatcher = scheduler.makeDispatcher()
    let waiting: Array<Waiting> = []

    const readAll = () => {
      const group = waiting
      waiting = []
      const runAll = () => group.map((each) => each.run())
      let tellings: ReadonlyArray<() => void>
      try {
        tellings = group.length === 1 ? runAll() : transaction(runAll)
      } catch (cause) {
        for (const each of group) each.fail(cause)
        return
      }
      for (const tell of tellings) tell()
    }

    return <A>(read: () => A) =>
      Effect.callback<A, E>((resume) => {
        const fail = (cause: unknown) => resume(Effect.fail(failed(cause)))
        const run = () => {
          try {
            const result = read()
            return () => resume(Effect.succeed(result))
          } catch (cause) {
            return () => fail(cause)
          }
        }
        // Behind all that has arrived by now: what comes while a group is read is of the next.
        if (waiting.push({ run, fail }) === 1) dispatcher.scheduleTask(readAll, 0)
      })
  })
