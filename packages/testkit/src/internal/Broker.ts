import { Deferred, Effect, Fiber, Schedule, type Scope, Semaphore } from "effect"
import { KafkaBrokerError, NotRunning } from "../KafkaBrokerError.ts"
import { probe } from "./KafkaProbe.ts"
import type { KafkaAddress } from "./KafkaRequest.ts"
import { inRealTime } from "./RealTime.ts"

/** Tells a person what takes its time, in one sentence. */
export type Progress = (sentence: string) => Effect.Effect<void>

/** One run of a broker, from its start to its end. */
export interface Run {
  /** What the system knows it by: a process id, a container's name. */
  readonly instance: string
  /** Fails when the run ends, whoever ended it. */
  readonly ended: Effect.Effect<never, KafkaBrokerError>
  readonly stop: Effect.Effect<void, KafkaBrokerError>
  readonly kill: Effect.Effect<void, KafkaBrokerError>
}

/** A broker's runs, one after another, at the same address and on the same data. */
export interface Broker {
  readonly brokers: ReadonlyArray<string>
  readonly start: Effect.Effect<void, KafkaBrokerError>
  readonly stop: Effect.Effect<void, KafkaBrokerError>
  readonly kill: Effect.Effect<void, KafkaBrokerError>
  readonly instance: Effect.Effect<string | undefined>
  readonly crashed: Effect.Effect<never, KafkaBrokerError>
}

/** Keeps at most one run alive, beginning with `first`; `launch` makes the next. */
export const supervise = Effect.fnUntraced(
  function*<R>(
    address: string,
    first: Run,
    launch: Effect.Effect<Run, KafkaBrokerError, R>
  ): Effect.fn.Return<Broker, never, R | Scope.Scope> {
    const context = yield* Effect.context<R | Scope.Scope>()
    const oneAtATime = yield* Semaphore.make(1)
    const crashed = yield* Deferred.make<never, KafkaBrokerError>()
    let current: { readonly run: Run; readonly watch: Fiber.Fiber<void> } | undefined

    const adopt = Effect.fnUntraced(function*(run: Run) {
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

    const finish = (how: (run: Run) => Effect.Effect<void, KafkaBrokerError>) =>
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
      brokers: [address],
      start: oneAtATime.withPermit(start),
      stop: oneAtATime.withPermit(stop),
      kill: oneAtATime.withPermit(finish((run) => run.kill)),
      instance: Effect.sync(() => current?.run.instance),
      crashed: Deferred.await(crashed)
    }
  }
)

export const notRunning = (problem: string, log: string): KafkaBrokerError =>
  new KafkaBrokerError({ reason: new NotRunning({ problem, log }) })

/** Attempts to find free ports before we believe that something else is wrong. */
export const portAttempts = 5

/** A start on a machine with twenty other jobs took 21 s; what takes this long does not come any more. */
const patience = "2 minutes"

/**
 * Waits until a broker serves its first group. `ended` fails when the broker does; `tooLate` makes the error for one that runs but
 * never answers.
 */
export const awaitReady = (
  address: KafkaAddress,
  ended: Effect.Effect<never, KafkaBrokerError>,
  tooLate: (problem: string) => Effect.Effect<never, KafkaBrokerError>
): Effect.Effect<void, KafkaBrokerError> =>
  probe(address).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail("no answer") }),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.orDie,
    Effect.timeoutOrElse({ duration: patience, orElse: () => tooLate(`did not answer within ${patience}`) }),
    Effect.raceFirst(ended),
    inRealTime
  )
