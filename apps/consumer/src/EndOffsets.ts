import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { Clock, Context, Duration, Effect, Layer, Schedule } from "effect"
import { GroupMember } from "./GroupMember.ts"

/** How often Kafka is asked. A partition whose reading is paused tells nothing by itself, and it is those whose lag matters. */
const SPACING = Duration.seconds(5)

/** Where the partitions of the requests topic end, for the lag. */
export class EndOffsets extends Context.Service<EndOffsets, {
  /** The offset after the last record, by partition; empty while this is no member of the group, or Kafka does not tell. */
  readonly current: () => ReadonlyMap<number, number>
  /** How long ago Kafka has told last, in milliseconds. */
  readonly silence: () => number
}>()("@origin-regions/consumer/EndOffsets") {
  static readonly layer = (options: { readonly requestsTopic: string }) =>
    Layer.effect(
      EndOffsets,
      Effect.gen(function*() {
        const admin = yield* KafkaAdmin
        const member = yield* GroupMember
        const clock = yield* Clock.Clock
        let current: ReadonlyMap<number, number> = new Map()
        let toldAt = -Infinity
        const look = Effect.suspend(() =>
          member.status().joined
            ? admin.endOffsets(options.requestsTopic).pipe(
              Effect.tap(() => {
                toldAt = steadyMillis(clock)
                return Effect.void
              }),
              Effect.catch((error) => Effect.as(Effect.logDebug(error.message), new Map<number, number>()))
            )
            : Effect.succeed(new Map<number, number>())
        )
        yield* Effect.map(look, (ends) => {
          current = ends
        }).pipe(Effect.repeat(Schedule.spaced(SPACING)), Effect.forkScoped)
        return EndOffsets.of({ current: () => current, silence: () => steadyMillis(clock) - toldAt })
      })
    )
}
