import { type Context, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { nameOf } from "./PipelineMetrics.ts"
import { lagOf, type PipelineStatus, waitReasons } from "./PipelineStatus.ts"
import type { MemberStatus } from "./StatusReport.ts"

const gauge = (name: string, description: string, attributes: Readonly<Record<string, string>> = {}) =>
  Metric.gauge(nameOf(name), { description, attributes })

const ready = gauge("ready", "Whether it is at work")
const silence = gauge("coordinator_silence_seconds", "How long ago the group's coordinator last answered")
const blocked = gauge("publishing_blocked", "Whether outcomes can't be published just now")
const calls = gauge("api_calls_in_flight", "Calls to the API under way")
const inFlight = gauge("requests_in_flight", "Requests that are in calls to the API under way")
const queued = gauge("requests_queued", "Requests read that wait for their turn")
const unpublished = gauge("outcomes_unpublished", "Outcomes that wait to be published")
const waiting = new Map(
  waitReasons.map((reason) => [
    reason,
    gauge("requests_waiting", "Requests that wait for something to get better, by what", { reason })
  ])
)
const apiPaused = new Map(
  (["api", "credential", "quota"] as const).map((reason) => [
    reason,
    gauge("api_paused", "Whether the API is not called at all, by why", { reason })
  ])
)
const zonesPaused = gauge("zones_paused", "Zones that nothing is sent to, as their calls fail")
const longestZonePause = gauge("zone_pause_longest_seconds", "For how long the zone has been failing that has longest")
const quotaLimit = gauge("api_quota_limit", "Calls that the API's quota allows in a window")
const quotaLeft = gauge("api_quota_left", "Calls of the API's quota that this member may still make")
const partitionsAssigned = gauge("partitions_assigned", "Partitions that this member owns")
const partitionsPaused = gauge("partitions_paused", "Partitions that are not read on, as enough of them has no outcome")

const lagGauge = (partition: string) =>
  gauge("lag_records", "Records of a partition that have no outcome yet, those not read included", {
    "messaging.destination.partition.id": partition
  })

/** The partitions that a lag was told of last: another member tells it once they are its. */
const lagging = new Map<string, ReturnType<typeof lagGauge>>()

export interface MetricsInput {
  readonly pipeline: PipelineStatus
  readonly member: MemberStatus
  /** The offset after the last record of each partition, where Kafka tells. */
  readonly endOffsets: ReadonlyMap<number, number>
  /** In milliseconds since 1970. */
  readonly now: number
}

const setLags = ({ endOffsets, pipeline }: MetricsInput, context: Context.Context<never>) => {
  const before = new Map(lagging)
  lagging.clear()
  for (const status of pipeline.partitions) {
    const end = endOffsets.get(status.partition)
    if (end === undefined) continue
    const name = String(status.partition)
    const lag = before.get(name) ?? lagGauge(name)
    before.delete(name)
    lagging.set(name, lag)
    lag.updateUnsafe(lagOf(status, end), context)
  }
  for (const lag of before.values()) Metric.removeUnsafe(lag, context)
}

/** The metrics in Prometheus' text format, the gauges as of now. */
export const renderMetrics = (input: MetricsInput): Effect.Effect<string> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const { member, now, pipeline } = input
    const set = (metric: Metric.Gauge<number>, value: number | boolean) => metric.updateUnsafe(Number(value), context)
    set(ready, member.ready)
    set(silence, Math.max(0, now - member.lastContact) / 1000)
    set(blocked, pipeline.publishingProblem !== undefined)
    set(calls, pipeline.calls)
    set(inFlight, pipeline.inFlight)
    // Where the API is not called at all for want of quota they are among those that wait.
    set(queued, pipeline.queued - (pipeline.apiPause === undefined ? pipeline.waits.quota : 0))
    set(unpublished, pipeline.unpublished)
    const unpublishable = pipeline.publishingProblem === undefined ? 0 : pipeline.unpublished
    for (const [reason, metric] of waiting) {
      set(metric, pipeline.waits[reason] + (reason === "kafka" ? unpublishable : 0))
    }
    for (const [reason, metric] of apiPaused) set(metric, pipeline.apiPauseReason === reason)
    set(zonesPaused, pipeline.zones.size)
    let oldest = now
    for (const { since } of pipeline.zones.values()) oldest = Math.min(oldest, since)
    set(longestZonePause, (now - oldest) / 1000)
    if (pipeline.quota !== undefined) {
      set(quotaLimit, pipeline.quota.limit)
      set(quotaLeft, pipeline.quota.left)
    }
    set(partitionsAssigned, pipeline.partitions.length)
    set(partitionsPaused, pipeline.partitions.filter(({ paused }) => paused).length)
    setLags(input, context)
    return PrometheusMetrics.format()
  })
