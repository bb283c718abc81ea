import type UPlot from "uplot"
import { points, snapshot } from "./Live.ts"
import { colour } from "./Palette.ts"
import { Plot } from "./Plot.tsx"
import { durationText } from "./Units.ts"

const line = (name: string, shade: string, width: number): UPlot.Series => ({
  label: name,
  stroke: colour(shade),
  width,
  spanGaps: false,
  points: { show: false }
})

/** What a scale by powers of ten can show. */
const atLeast = (millis: number | null) => millis === null ? null : Math.max(1, millis)

/** From a request's record to its outcome, by powers of ten. Nothing is drawn where there were no outcomes. */
export const LatencyPlot = () => {
  const now = snapshot.value
  return (
    <section aria-labelledby="latency-plot">
      <h3 id="latency-plot">
        Latency{" "}
        <small>
          <span class="whence">from request to outcome:</span> <i class="key p50" /> p50 <i class="key p99" /> p99
        </small>
      </h3>
      <Plot
        label={`Latency over the last 15 minutes; in the last one p50 ${durationText(now?.p50 ?? null)}, p99 ${
          durationText(now?.p99 ?? null)
        }`}
        series={[line("p99", "p99", 1.25), line("p50", "p50", 1.75)]}
        data={[
          points.value.map(({ time }) => time / 1000),
          points.value.map(({ p99 }) => atLeast(p99)),
          points.value.map(({ p50 }) => atLeast(p50))
        ]}
        end={(now?.time ?? 0) / 1000}
        scale={{
          distr: 3,
          range: (
            _,
            min,
            max
          ) => [
            10 ** Math.floor(Math.log10(Math.max(1, min ?? 1))),
            10 ** Math.ceil(Math.log10(Math.max(1_000, (max ?? 1) + 1)))
          ]
        }}
        valueOf={(millis) => millis < 1_000 ? `${millis} ms` : `${millis / 1_000} s`}
        isMajor={(millis) => Number.isInteger(Math.log10(millis))}
      />
    </section>
  )
}
