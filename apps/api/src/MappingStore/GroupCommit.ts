import { Deferred, Effect, Queue, type Scope } from "effect"
import type { MappingStoreError, Write, WriteResult } from "../MappingStore.ts"

/** How many writes share a transaction at most: more would let the first of them wait for long. */
const largestGroup = 512

interface Waiting {
  readonly write: Write
  readonly result: Deferred.Deferred<WriteResult, MappingStoreError>
}

/**
 * Lets writes that wait at the same time share one transaction, and so one flush to the disk. `commit` does all or none of what it is given
 * and gives a result for each. Where the one who asked has gone, a write that has begun goes on, and one that waits is left.
 */
export const groupCommit = Effect.fnUntraced(function*(
  commit: (writes: ReadonlyArray<Write>) => Effect.Effect<ReadonlyArray<WriteResult>, MappingStoreError>
): Effect.fn.Return<(write: Write) => Effect.Effect<WriteResult, MappingStoreError>, never, Scope.Scope> {
  const queue = yield* Queue.bounded<Waiting>(largestGroup)
  const commitNext = Effect.gen(function*() {
    const first = yield* Queue.takeAll(queue)
    // Requests that have arrived with the first one are on their way to the queue.
    yield* Effect.yieldNow
    const group = [...first, ...yield* Queue.clear(queue)].filter(({ result }) => !Deferred.isDoneUnsafe(result))
    if (group.length === 0) return
    const exit = yield* Effect.exit(commit(group.map(({ write }) => write)))
    for (const [index, { result }] of group.entries()) {
      Deferred.doneUnsafe(
        result,
        Effect.flatMap(exit, (results) => Effect.orDie(Effect.fromNullishOr(results[index])))
      )
    }
  })
  yield* Effect.forkScoped(Effect.forever(commitNext))
  return (write) =>
    Effect.suspend(() => {
      const result = Deferred.makeUnsafe<WriteResult, MappingStoreError>()
      return Effect.andThen(Queue.offer(queue, { write, result }), Deferred.await(result)).pipe(
        Effect.onInterrupt(() => Deferred.interrupt(result))
      )
    })
})
