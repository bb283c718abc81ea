import type { MappingRequest } from "@origin-regions/domain/MappingRequest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { Emitter, type EmitterOptions } from "./Emitter.ts"
import type { EmitterError } from "./EmitterError.ts"
import { EmitterKafka, type KafkaPort } from "./EmitterKafka.ts"
import type { RequestDraft } from "./RequestDraft.ts"
import type { RequestOutcome } from "./RequestOutcome.ts"

/** An emitter for services without Effect. What fails rejects with an `EmitterError`. */
export interface PromiseEmitter extends AsyncDisposable {
  /** Sends a request. Resolves with it, as it is in Kafka, once all replicas have it. */
  emit(draft: RequestDraft): Promise<MappingRequest>
  /** Sends requests in their order; all are checked before any is sent. */
  emitAll(drafts: ReadonlyArray<RequestDraft>): Promise<ReadonlyArray<MappingRequest>>
  /** Sends a request and resolves with its outcome, whichever that is: succeeded, rejected or failed. */
  request(draft: RequestDraft, options?: RequestOptions): Promise<RequestOutcome>
  /** Sends what was given to it and ends; whoever still waits for an outcome is told so. */
  close(): Promise<void>
}

export interface RequestOptions {
  /** How long to wait for the outcome, the sending included. Default: one minute. */
  readonly timeoutMs?: number | undefined
  /** Aborting it ends the wait, and not the request. */
  readonly signal?: AbortSignal | undefined
}

export interface PromiseEmitterOptions extends EmitterOptions {
  /** A client of the service's own (see `kafkaJs`), or a layer such as `layerOriginRegionsKafka`. It is closed with the emitter. */
  readonly kafka: KafkaPort | Layer.Layer<EmitterKafka>
}

export const makeEmitter = ({ kafka, ...options }: PromiseEmitterOptions): PromiseEmitter => {
  const way = "send" in kafka ? EmitterKafka.layer(kafka) : kafka
  const layer = Emitter.layerNoDeps(options).pipe(Layer.provide([way, SecureRandom.layerWebCrypto]))
  const scope = Scope.makeUnsafe()
  // Not a managed runtime: that would interrupt what closing has still to send.
  const emitter = Effect.runSync(
    Effect.cached(Effect.map(Layer.buildWithScope(layer, scope), Context.get(Emitter)))
  )
  const run = <A>(use: (emitter: Emitter["Service"]) => Effect.Effect<A, EmitterError>) =>
    Effect.runPromise(Effect.flatMap(emitter, use))
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  return {
    emit: (draft) => run(({ emit }) => emit(draft)),
    emitAll: (drafts) => run(({ emitAll }) => emitAll(drafts)),
    request: (draft, { signal, timeoutMs } = {}) =>
      run(({ request }) => request(draft, { signal, timeout: timeoutMs })),
    close,
    [Symbol.asyncDispose]: close
  }
}
