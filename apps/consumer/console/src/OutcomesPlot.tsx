import UPlot from "uplot"
import { points, snapshot } from "./Live.ts"
import { colour, shadesOf } from "./Palette.ts"
import { Plot } from "./Plot.tsx"
import { rate } from "./Units.ts"

const SECONDS = 5

/** Outcomes in a second, stacked by code. */
export const OutcomesPlot = () => {
  const now = snapshot.value
  const codes = now?.codes ?? []
  const shades = shadesOf(codes)
  const seen = codes.map((_, index) => index).filter((index) =>
    points.value.some(({ counts }) => (counts[index] ?? 0) > 0)
  )
  const times = points.value.map(({ time }) => time / 1000)
  let below = times.map(() => 0)
  const stacked = seen.map((index) => {
    below = below.map((sum, at) => sum + (points.value[at]?.counts[index] ?? 0) / SECONDS)
    return below
  })
  // The tallest first, so that each of the others is painted over it.
  const series = seen.toReversed().map((index): UPlot.Series => ({
    label: codes[index] ?? "",
    fill: colour(shades[index] ?? "muted"),
    stroke: "transparent",
    width: 0,
    points: { show: false },
    ...UPlot.paths.bars === undefined ? undefined : { paths: UPlot.paths.bars({ size: [1, 100], align: 1, gap: 1 }) }
  }))
  return (
    <section aria-labelledby="outcomes-plot">
      <h3 id="outcomes-plot">
        Outcomes <small>per second, by code</small>
      </h3>
      <Plot
        label={`Outcomes per second over the last 15 minutes; now ${rate(now?.rate ?? 0)}`}
        series={series}
        data={[times, ...stacked.toReversed()]}
        end={(now?.time ?? 0) / 1000}
        scale={{ range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.1)] }}
        valueOf={(value) => `${rate(value)}/s`}
      />
    </section>
  )
}
