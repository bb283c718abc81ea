import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Effect, type Stream } from "effect"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import type { CommandError } from "./CommandError.ts"
import type { AwaitedOutcomes } from "./OutcomeWait.ts"
import { paced } from "./Pace.ts"
import type { RequestRow } from "./RequestRows.ts"
import { requestTextRecord } from "./RequestText.ts"

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
  yield* paced(
    rows,
    rate,
    Effect.fnUntraced(function*(batch) {
      for (const row of batch) awaited?.expect(row)
      sent.begun += batch.length
      const sending = send(batch.map(({ text }) => ({ topic, record: requestTextRecord(text) })))
      yield* Effect.mapError(
        sent.count === 0 ? sayingWhereItWaits(settings)(sending) : sending,
        (error) => kafkaFailed(error, settings)
      )
      sent.count += batch.length
    })
  )
})
