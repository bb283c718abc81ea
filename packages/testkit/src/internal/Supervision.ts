import { Deferred, Effect, Fiber, type Scope, Semaphore } from "effect"
import { inRealTime } from "./RealTime.ts"

/** One run of a server, from its start to its end. */
export interface Run<E> {
  /** What the system knows it by: a process id, a container's name. */
  readonly instance: string
  /** Fails when the run ends, whoever ended it. */
  readonly ended: Effect.Effect<never, E>
  readonly stop: Effect.Effect<void, E>
  readonly kill: Effect.Effect<void, E>
}

/** A server's runs, one after another, at the same address and on the same data. */
export interface Supervised<E> {
  readonly start: Effect.Effect<void, E>
  readonly stop: Effect.Effect<void, E>
  readonly kill: Effect.Effect<void, E>
  readonly instance: Effect.Effect<string | undefined>
  readonly crashed: Effect.Effect<never, E>
}

/** Keeps at most one run alive, beginning with `first`; `launch` makes the next. */
export const supervise = Effect.fnUntraced(
  function*<E, R>(
    first: Run<E>,
    launch: Effect.Effect<Run<E>, E, R>
  ): Effect.fn.Return<Supervised<E>, never, R | Scope.Scope> {
    const context = yield* Effect.context<R | Scope.Scope>()
    const oneAtATime = yield* Semaphore.make(1)
    const crashed = yield* Deferred.make<never, E>()
    let current: { readonly run: Run<E>; readonly watch: Fiber.Fiber<void> } | undefined

    const adopt = Effect.fnUntraced(function*(run: Run<E>) {
      const watch = yield* run.ended.pipe(
        Effect.catch((error) => {
          current = undefined
          return Effect.asVoid(Deferred.fail(crashed, error))
        }),
        Effect.forkScoped
      )
      current = { run, watch }
    })
    yield* adopt(first)

    const finish = (how: (run: Run<E>) => Effect.Effect<void, E>) =>
      Effect.suspend(() => {
        if (current === undefined) return Effect.void
        const { run, watch } = current
        current = undefined
        return Effect.andThen(Fiber.interrupt(watch), how(run))
      }).pipe(inRealTime)
    const stop = finish((run) => run.stop)
    const start = Effect.suspend(() => current === undefined ? Effect.flatMap(launch, adopt) : Effect.void).pipe(
      inRealTime,
      Effect.provideContext(context)
    )

    return {
      start: oneAtATime.withPermit(start),
      stop: oneAtATime.withPermit(stop),
      kill: oneAtATime.withPermit(finish((run) => run.kill)),
      instance: Effect.sync(() => current?.run.instance),
      crashed: Deferred.await(crashed)
    }
  }
)
