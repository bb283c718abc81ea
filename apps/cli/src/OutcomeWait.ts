import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { Deferred, Duration, Effect, Option, Stream } from "effect"
import { kindOf } from "./OutcomeTable.ts"
import type { RequestRow } from "./RequestRows.ts"

/** Which row of the file a request is. */
interface Row {
  readonly number: number
  readonly place: string
}

/** What came of a request, by its row. */
export interface AnsweredRow extends Row {
  readonly outcome: MappingOutcome
}

const encoder = new TextEncoder()

/** Most ids are of one request: no list is kept for that. */
const rowsIn = (rows: Row | ReadonlyArray<Row>): ReadonlyArray<Row> => "place" in rows ? [rows] : rows

/** What is waited for, and what has come of it. Of outcomes, their codes are kept, and the last one. */
export class AwaitedOutcomes {
  /** By source and id. Whoever gives several requests the same id gets as many outcomes. */
  readonly #rows = new Map<string, Map<string, Row | ReadonlyArray<Row>>>()
  readonly codes = new Map<string, number>()
  answered = 0
  unsuccessful = 0
  latest: MappingOutcome | undefined
  /** Requests that nobody can tell the outcome of, as they have no readable id and source. */
  nameless = 0
  #waiting = 0

  /** The request is about to be sent. */
  expect({ number, place, text }: RequestRow): void {
    const { event } = readRequest({ value: encoder.encode(text), headers: [] })
    const { id, source } = event
    if (id === null || source === null) {
      this.nameless += 1
      return
    }
    let ofSource = this.#rows.get(source)
    if (ofSource === undefined) this.#rows.set(source, ofSource = new Map())
    const others = ofSource.get(id)
    const row: Row = { number, place }
    ofSource.set(id, others === undefined ? row : [...rowsIn(others), row])
    this.#waiting += 1
  }

  /** Yields the row whose outcome it is, if that was waited for. */
  answer(outcome: MappingOutcome): AnsweredRow | undefined {
    const { id, source } = outcome.data.request
    const ofSource = source === null ? undefined : this.#rows.get(source)
    const waiting = id === null ? undefined : ofSource?.get(id)
    if (id === null || ofSource === undefined || waiting === undefined) return undefined
    const [row, ...others] = rowsIn(waiting)
    if (row === undefined) return undefined
    if (others.length === 0) ofSource.delete(id)
    else ofSource.set(id, others)
    this.#waiting -= 1
    this.answered += 1
    this.latest = outcome
    this.codes.set(outcome.outcomecode, (this.codes.get(outcome.outcomecode) ?? 0) + 1)
    if (kindOf(outcome) !== "succeeded") this.unsuccessful += 1
    return { ...row, outcome }
  }

  get unanswered(): number {
    return this.#waiting
  }
}

/** How long no outcome comes before a person would wonder. */
const PATIENCE_SECONDS = 10

/** Tells once, and again after each outcome, that none has come for a while. Never ends. */
export const tellingOfSilence = <R>(
  awaited: Pick<AwaitedOutcomes, "answered" | "unanswered">,
  tell: (line: string) => Effect.Effect<void, never, R>
): Effect.Effect<never, never, R> =>
  Effect.gen(function*() {
    let before = awaited.answered
    let isTold = false
    while (true) {
      yield* Effect.sleep(Duration.seconds(PATIENCE_SECONDS))
      if (awaited.answered !== before) {
        before = awaited.answered
        isTold = false
      } else if (!isTold && awaited.unanswered > 0) {
        isTold = true
        yield* tell(
          `No outcome for ${PATIENCE_SECONDS} seconds; ${awaited.unanswered} unanswered. Is a consumer at work? Ctrl-C ends the waiting.`
        )
      }
    }
  })

/**
 * Reads outcomes from now on into `awaited`, and tells of each that was waited for, until the scope closes. The effect that it yields ends when all of
 * them have come; it is for after the last request was sent.
 */
export const readAwaited = Effect.fnUntraced(function*<R>(
  topic: string,
  awaited: AwaitedOutcomes,
  tell: (answered: AnsweredRow) => Effect.Effect<void, never, R>
) {
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
      const answered = Option.isSome(outcome) ? awaited.answer(outcome.value) : undefined
      return answered === undefined ? Effect.void : Effect.andThen(tell(answered), end)
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
