import { useEffect, useRef } from "preact/hooks"
import UPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { colour, isDark } from "./Palette.ts"

const HEIGHT = 202
const WINDOW_SECONDS = 15 * 60

export interface PlotProps {
  /** What it shows, for who can't see it. */
  readonly label: string
  readonly series: ReadonlyArray<UPlot.Series>
  /** Times in seconds, then each series. */
  readonly data: UPlot.AlignedData
  /** When the plot ends, in seconds. */
  readonly end: number
  readonly scale: UPlot.Scale
  readonly valueOf: (value: number) => string
  /** Which of the ticks have a line; all that there are, where it is left out. */
  readonly isMajor?: (value: number) => boolean
}

const axis = (): UPlot.Axis => ({
  stroke: colour("muted"),
  font: "11px system-ui, sans-serif",
  grid: { stroke: colour("grid"), width: 1 },
  ticks: { show: false }
})

const timeOfDay = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(11, 16)

/** A plot over the last fifteen minutes, whose size does not depend on what is in it. */
export const Plot = ({ data, end, isMajor = () => true, label, scale, series, valueOf }: PlotProps) => {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const shown = useRef({ data, end })
  shown.current = { data, end }
  const shape = `${isDark.value} ${series.map(({ label }) => label).join(" ")}`

  useEffect(() => {
    const element = holder.current
    if (element === null) return
    const made = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: {
          x: { time: true, range: () => [shown.current.end - WINDOW_SECONDS, shown.current.end] },
          y: scale
        },
        axes: [
          { ...axis(), values: (_, ticks) => ticks.map(timeOfDay), space: 64, size: 24 },
          {
            ...axis(),
            filter: (_, ticks) => ticks.map((tick) => isMajor(tick) ? tick : null),
            grid: {
              stroke: colour("grid"),
              width: 1,
              filter: (_, ticks) => ticks.map((tick) => isMajor(tick) ? tick : null)
            },
            values: (_, ticks) => ticks.map((tick) => tick === null ? "" : valueOf(tick)),
            size: 52,
            space: 28
          }
        ],
        series: [{}, ...series]
      },
      shown.current.data,
      element
    )
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    watch.observe(element)
    return () => {
      watch.disconnect()
      made.destroy()
    }
  }, [shape])

  useEffect(() => plot.current?.setData(data), [data, shape])

  return <div ref={holder} class="plot" role="img" aria-label={label} />
}
