import type { ComponentChildren } from "preact"
import { snapshot } from "./Live.ts"
import { clockTime, count, duration, plural, rate } from "./Units.ts"

interface FigureProps {
  readonly name: string
  readonly figure: string | undefined
  readonly unit?: string
  readonly note?: ComponentChildren
  readonly tone?: "held" | "bad" | undefined
}

const Figure = ({ figure, name, note, tone, unit }: FigureProps) => (
  <div class={tone ?? ""}>
    <dt>{name}</dt>
    <dd>
      <b>{figure ?? "–"}</b>
      {unit === undefined || figure === undefined ? null : <span class="unit">{unit}</span>}
      <small>{note ?? "\u00a0"}</small>
    </dd>
  </div>
)

/** What flows, in figures. */
export const Figures = () => {
  const now = snapshot.value
  const [p50, p50Unit] = now?.p50 == null ? [undefined, ""] : duration(now.p50)
  const [p99, p99Unit] = now?.p99 == null ? [undefined, ""] : duration(now.p99)
  const lags = now?.partitions.map(({ lag }) => lag) ?? []
  const lag = lags.includes(null) ? undefined : lags.reduce<number>((sum, each) => sum + (each ?? 0), 0)
  const quota = now?.quota
  return (
    <section aria-label="Figures">
      <dl class="figures">
        <Figure name="Outcomes" figure={now && rate(now.rate)} unit="/s" note="last 10 s" />
        <Figure name="Latency p50" figure={p50} unit={p50Unit} note="last minute" />
        <Figure name="Latency p99" figure={p99} unit={p99Unit} note="last minute" />
        <Figure name="In calls" figure={now && count(now.in_flight)} note={now && plural(now.calls, "call")} />
        <Figure
          name="Queued"
          figure={now && count(now.queued)}
          note={quota?.next_call == null ? "for their turn" : "for quota"}
          tone={quota?.next_call == null || now?.queued === 0 ? undefined : "held"}
        />
        <Figure
          name="Waiting"
          figure={now && count(now.waiting)}
          note={now === undefined || now.zones_paused === 0
            ? "to try again"
            : `${plural(now.zones_paused, "zone")} paused`}
          tone={now !== undefined && now.waiting > 0 ? "held" : undefined}
        />
        <Figure name="Unpublished" figure={now && count(now.unpublished)} note="outcomes" />
        <Figure
          name="Lag"
          figure={lag === undefined ? undefined : count(lag)}
          note={now === undefined ? undefined : `in ${plural(lags.length, "partition")}`}
        />
        <Figure
          name="Quota left"
          figure={quota == null ? undefined : count(quota.left)}
          note={quota == null
            ? "no limit known"
            : quota.next_call === null
            ? `of ${count(quota.limit)}/${duration(quota.window_seconds * 1000).join(" ")}`
            : `next call ${clockTime(quota.next_call)}`}
          tone={quota?.next_call == null ? undefined : "held"}
        />
      </dl>
    </section>
  )
}
