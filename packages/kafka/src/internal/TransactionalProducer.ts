import { Deferred, Duration, Effect, Exit, Scope } from "effect"
import type { Transaction } from "kafkajs"
import { KafkaError, Unreachable } from "../KafkaError.ts"
import type { KafkaSettings } from "../KafkaSettings.ts"
import { inOrder, makeClient } from "./KafkaClient.ts"
import { kafkaError } from "./KafkaErrors.ts"
import { javaCompatible } from "./Partitioner.ts"
import { TRANSACTION_RETRY } from "./PatchedKafkaJS.ts"

/** Ends a transaction that its owner has left open. A transaction takes milliseconds: no call to the API happens inside one. */
const TRANSACTION_TIMEOUT = Duration.seconds(10)

/**
 * A producer of transactions, for as long as it keeps its connections.
 *
 * A coordinator answers that a transaction is committed before it has told the partitions so. If it is started anew before it has, it can take that for done on partitions
 * whose leaders it does not know yet (KAFKA-20734), and there the next transaction of this producer would go on with the one before: if it were aborted, so would be
 * what had been committed. Over connections that were made before, it can't have been started anew; whoever takes the id next can look first.
 */
export interface TransactionalProducer {
  readonly begin: Effect.Effect<Transaction, KafkaError>
  /** Whether a connection has ended: a transaction that was begun before may be completed over the others, but none begun. */
  readonly hasLostConnection: () => boolean
  /** Fails as soon as a lost connection is missed: nothing can be done any more. Never succeeds. */
  readonly broken: Effect.Effect<never, KafkaError>
  readonly close: Effect.Effect<void>
}

const attempt = <A>(operation: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (error) => kafkaError(operation, error) })

const PUBLISHING = "publish outcomes with their progress"

/** A step of a transaction that has begun. */
export const step = <A>(run: () => Promise<A>): Effect.Effect<A, KafkaError> => attempt(PUBLISHING, run)

/** Takes a transactional id: whoever had it is fenced from now on, and what it left open is ended. `connectionLost` is called as soon as a connection ends. */
export const takeTransactionalId = Effect.fnUntraced(
  function*(settings: KafkaSettings, transactionalId: string, connectionLost: () => void) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const broken = Deferred.makeUnsafe<never, KafkaError>()
    let hasLostConnection = false
    const reason = new Unreachable({ detail: "a connection to Kafka has broken" })
    const client = yield* Scope.provide(
      makeClient(
        settings,
        "origin-regions-transactions",
        TRANSACTION_RETRY,
        {
          ended: () => {
            hasLostConnection = true
            connectionLost()
          },
          again: () => {
            hasLostConnection = true
            connectionLost()
            Deferred.doneUnsafe(broken, Exit.fail(new KafkaError({ operation: PUBLISHING, reason })))
          }
        }
      ),
      scope
    )
    const producer = client.producer({
      transactionalId,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: Duration.toMillis(TRANSACTION_TIMEOUT),
      allowAutoTopicCreation: false,
      createPartitioner: javaCompatible
    })
    const held: TransactionalProducer = {
      begin: step(() => producer.transaction()),
      hasLostConnection: () => hasLostConnection,
      broken: Deferred.await(broken),
      close: Effect.andThen(
        inOrder(Effect.tryPromise(() => producer.disconnect())),
        Scope.close(scope, Exit.void)
      )
    }
    yield* attempt("begin transactions", async () => {
      await producer.connect()
      // The id is taken with a producer's first transaction; aborting an empty one sends nothing.
      const transaction = await producer.transaction()
      await transaction.abort()
    }).pipe(
      Effect.raceFirst(held.broken),
      Effect.onError(() => Effect.forkDetach(held.close))
    )
    return held
  }
)
