import { Schema } from "effect"

/** A processor profile as V8 writes it (`node --cpu-prof`). Times are in microseconds. */
export const CpuProfile = Schema.Struct({
  nodes: Schema.Array(Schema.Struct({
    id: Schema.Int,
    callFrame: Schema.Struct({ functionName: Schema.String, url: Schema.String, lineNumber: Schema.Int }),
    children: Schema.optionalKey(Schema.Array(Schema.Int))
  })),
  samples: Schema.Array(Schema.Int),
  timeDeltas: Schema.Array(Schema.Int)
})

export type CpuProfile = typeof CpuProfile.Type

interface Frame {
  readonly name: string
  readonly color: string
  /** Microseconds, with what it calls. */
  time: number
  readonly callees: Map<string, Frame>
}

/** Who a function is of, by its file. The last one that fits counts. */
const owners: ReadonlyArray<readonly [color: string, who: string, pattern: RegExp]> = [
  ["#c9c9c9", "Node and V8", /^/],
  ["#9ecae1", "undici", /\/undici\//],
  ["#a1d99b", "kafkajs", /\/kafkajs\//],
  ["#dadaeb", "Effect", /\/effect\/|\/@effect\//],
  ["#fdae6b", "ours", /\/(apps|packages)\/(?!.*node_modules)/]
]

const GARBAGE = "#fb6a4a"

const colorOf = (name: string, url: string): string =>
  name === "(garbage collector)" ? GARBAGE : owners.findLast(([, , pattern]) => pattern.test(url))?.[0] ?? "#c9c9c9"

/** Only waiting, or only the profiler at work. */
const isIdle = (name: string): boolean => name === "(idle)" || name === "(program)"

/** Calls merged by who called whom, whatever line they were on. Loading the program is not what it does later, and left out. */
const merge = ({ nodes, samples, timeDeltas }: CpuProfile): Frame => {
  const selfTimes = new Map<number, number>()
  for (const [index, id] of samples.entries()) selfTimes.set(id, (selfTimes.get(id) ?? 0) + (timeDeltas[index] ?? 0))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const all: Frame = { name: "all", color: "#eeeeee", time: 0, callees: new Map() }
  const visit = (id: number, path: ReadonlyArray<Frame>) => {
    const node = byId.get(id)
    const caller = path.at(-1)
    if (node === undefined || caller === undefined) return
    const { callFrame: { functionName, url }, children = [] } = node
    if (isIdle(functionName) || /esm\/|run_main|cjs\/loader/.test(url)) return
    let here = path
    if (functionName !== "(root)") {
      const name = functionName === "" ? "(anonymous)" : functionName
      const key = `${name} ${url}`
      const frame = caller.callees.get(key) ?? { name, color: colorOf(name, url), time: 0, callees: new Map() }
      caller.callees.set(key, frame)
      here = [...path, frame]
    }
    for (const frame of here) frame.time += selfTimes.get(id) ?? 0
    for (const child of children) visit(child, here)
  }
  const [root] = nodes
  if (root !== undefined) visit(root.id, [all])
  return all
}

const WIDTH = 1200
const ROW = 13
const HEADER = 34
const CHARACTER = 5.2
/** Narrower ones are left out, in pixels. */
const LEAST = 3
const DEPTH = 30

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" }
const escape = (text: string) => text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? "")

/**
 * A flame graph in SVG: who calls whom from top to bottom, as wide as the time that it took. `full` is how many microseconds the whole width stands for, so that two
 * profiles of the same work can be compared; default: all of this profile's.
 */
export const flameGraph = (profile: CpuProfile, title: string, full?: number): string => {
  const all = merge(profile)
  const scale = WIDTH / (full ?? all.time)
  const parts: Array<string> = []
  let deepest = 0
  const draw = (frame: Frame, left: number, depth: number) => {
    const width = frame.time * scale
    if (width < LEAST || depth > DEPTH) return
    deepest = Math.max(deepest, depth)
    const top = HEADER + depth * ROW
    const share = `${escape(frame.name)}: ${(frame.time / all.time * 100).toFixed(1)}%`
    parts.push(
      `<g><title>${share}</title><rect x="${left.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${
        ROW - 1
      }" fill="${frame.color}"/>`
    )
    const room = Math.floor((width - 4) / CHARACTER)
    if (room >= 3) {
      parts.push(`<text x="${(left + 2).toFixed(1)}" y="${top + 9}">${escape(frame.name.slice(0, room))}</text>`)
    }
    parts.push("</g>")
    let at = left
    for (const callee of [...frame.callees.values()].toSorted((one, other) => other.time - one.time)) {
      draw(callee, at, depth + 1)
      at += callee.time * scale
    }
  }
  draw(all, 0, 0)
  const legend = [...owners.map(([color, who]) => [color, who] as const), [GARBAGE, "garbage collection"] as const]
    .map(([color, who], index) =>
      `<rect x="${index * 110}" y="17" width="9" height="9" fill="${color}"/><text x="${
        index * 110 + 13
      }" y="25">${who}</text>`
    )
  const height = HEADER + (deepest + 1) * ROW
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="9">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="0" y="11" font-size="11">${escape(title)}: ${(all.time / 1e6).toFixed(1)} s of one thread</text>`,
    ...legend,
    ...parts,
    "</svg>",
    ""
  ].join("\n")
}
