import { signal } from "@preact/signals"
import { kindOf } from "./OutcomeCode.tsx"

const dark = matchMedia("(prefers-color-scheme: dark)")

/** Whether it is dark: what is painted, and not styled, is painted anew when that changes. */
export const isDark = signal(dark.matches)
dark.addEventListener("change", ({ matches }) => {
  isDark.value = matches
})

/** A colour of the style sheet, as it is in this scheme. */
export const colour = (name: string): string => {
  const probe = document.createElement("i")
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** How many shades of each kind of outcome the style sheet has. */
const SHADES = { succeeded: 4, rejected: 5, failed: 2 } as const

/** The name of each code's colour, in the order of the codes. */
export const shadesOf = (codes: ReadonlyArray<string>): ReadonlyArray<string> => {
  const used = { succeeded: 0, rejected: 0, failed: 0 }
  return codes.map((code) => {
    const kind = kindOf(code)
    const shade = used[kind] % SHADES[kind] + 1
    used[kind] += 1
    return `${kind}-${shade}`
  })
}
