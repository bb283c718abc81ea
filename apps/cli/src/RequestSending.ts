import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Clock, Duration, Effect, Stream } from "effect"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import type { CommandError } from "./CommandError.ts"
import type { AwaitedOutcomes } from "./OutcomeWait.ts"
import type { RequestRow } from "./RequestRows.ts"
import { requestTextRecord } from "./RequestText.ts"

/** Rows that go to Kafka together; they are what is in memory of those that are sent. */
const BATCH = 1_000

/** With a rate, they go this often. */
const BATCHES_PER_SECOND = 10

/** What has been sent. */
export interface Sent {
  count: number
  /** With what is on its way, of which Kafka has not said yet that it has it. */
  begun: number
}

export const nothingSent = (): Sent => ({ count: 0, begun: 0 })

/** Sends all rows in their order, at most `rate` a second, and counts them. Each is expected by `awaited` before it goes. */
export const sendRows = Effect.fnUntraced(function*<R>(
  rows: Stream.Stream<RequestRow, CommandError, R>,
  { awaited, rate, sent }: {
    readonly rate: number | undefined
    readonly awaited: AwaitedOutcomes | undefined
    readonly sent: Sent
  }
) {
  const settings = yield* CliSettings
  const { send } = yield* KafkaProducer
  const topic = settings.requestsTopic
  const size = rate === undefined ? BATCH : Math.max(1, Math.min(BATCH, Math.floor(rate / BATCHES_PER_SECOND)))
  /** When the next ones may go, in milliseconds since 1970. */
  let due = yield* Clock.currentTimeMillis
  yield* rows.pipe(
    Stream.rechunk(size),
    Stream.runForEachArray(Effect.fnUntraced(function*(batch) {
      if (rate !== undefined) {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.sleep(Duration.millis(Math.max(0, due - now)))
        due = Math.max(due, now) + batch.length / rate * 1_000
      }
      for (const row of batch) awaited?.expect(row)
      sent.begun += batch.length
      const sending = send(batch.map(({ text }) => ({ topic, record: requestTextRecord(text) })))
      yield* Effect.mapError(
        sent.count === 0 ? sayingWhereItWaits(settings)(sending) : sending,
        (error) => kafkaFailed(error, settings)
      )
      sent.count += batch.length
    }))
  )
})
