import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Deferred, Effect, Option, Stream } from "effect"
import { kindOf } from "./OutcomeTable.ts"
import type { RequestRow } from "./RequestRows.ts"

/** A request that did not succeed, by its row. */
export interface Unsuccessful {
  readonly number: number
  readonly place: string
  readonly outcome: MappingOutcome
}

const encoder = new TextEncoder()

const keyOf = (source: string | null, id: string | null): string | undefined =>
  source === null || id === null ? undefined : `${id}\n${source}`

/** What is waited for, and what has come of it. Of requests that succeeded, only their codes are kept. */
export class AwaitedOutcomes {
  readonly #rows = new Map<string, ReadonlyArray<{ readonly number: number; readonly place: string }>>()
  readonly codes = new Map<string, number>()
  readonly unsuccessful: Array<Unsuccessful> = []
  answered = 0
  /** Requests that nobody can tell the outcome of, as they have no readable id and source. */
  nameless = 0
  #waiting = 0

  /** The request is about to be sent. */
  expect({ number, place, text }: RequestRow): void {
    const { event } = readRequest({ value: encoder.encode(text), headers: [] })
    const key = keyOf(event.source, event.id)
    if (key === undefined) {
      this.nameless += 1
      return
    }
    // Whoever gives two requests the same id gets two outcomes.
    this.#rows.set(key, [...this.#rows.get(key) ?? [], { number, place }])
    this.#waiting += 1
  }

  /** Says whether the outcome was waited for. */
  answer(outcome: MappingOutcome): boolean {
    const { request } = outcome.data
    const key = keyOf(request.source, request.id)
    const [row, ...others] = key === undefined ? [] : this.#rows.get(key) ?? []
    if (key === undefined || row === undefined) return false
    if (others.length === 0) this.#rows.delete(key)
    else this.#rows.set(key, others)
    this.#waiting -= 1
    this.answered += 1
    this.codes.set(outcome.outcomecode, (this.codes.get(outcome.outcomecode) ?? 0) + 1)
    if (kindOf(outcome) !== "succeeded") this.unsuccessful.push({ ...row, outcome })
    return true
  }

  get unanswered(): number {
    return this.#waiting
  }
}

/** Reads outcomes from now on into `awaited`. The effect that it yields ends when all of them have come; it is for after the last request was sent. */
export const readAwaited = Effect.fnUntraced(function*(topic: string, awaited: AwaitedOutcomes) {
  const from = yield* KafkaAdmin.use(({ endOffsets }) => endOffsets(topic))
  const { read } = yield* KafkaTopicReader
  const failed = yield* Deferred.make<never, KafkaError>()
  let allSent = false
  const allCame = yield* Deferred.make<void>()
  const end = Effect.suspend(() =>
    allSent && awaited.unanswered === 0 ? Deferred.succeed(allCame, undefined) : Effect.void
  )
  yield* read({ topic, from }).pipe(
    Stream.runForEach(({ value }) => {
      const outcome = Option.flatMap(Option.fromNullOr(value), readOutcome)
      return Option.isSome(outcome) && awaited.answer(outcome.value) ? end : Effect.void
    }),
    Effect.catch((error) => Deferred.fail(failed, error)),
    Effect.forkScoped
  )
  return Effect.gen(function*() {
    allSent = true
    yield* end
    yield* Effect.raceFirst(Deferred.await(allCame), Deferred.await(failed))
  })
})
