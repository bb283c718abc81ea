import { effects, type PlannedEffect, type PlannedRequest } from "./RequestPlan.ts"
import { plainText } from "./TextColumns.ts"

const marks: Readonly<Record<PlannedEffect, string>> = {
  create: "+",
  update: "~",
  delete: "-",
  unchanged: "=",
  conflict: "!",
  invalid: "!",
  refused: "!"
}

const cloud = ({ region, vendor }: { readonly vendor: string; readonly region: string }): string =>
  `${vendor} ${region}`

const detail = ({ after, before, code, reason }: PlannedRequest): string =>
  code !== null
    ? `${code}: ${reason}`
    : before !== null && after !== null && cloud(before) !== cloud(after)
    ? `${cloud(before)} → ${cloud(after)}`
    : after !== null
    ? cloud(after)
    : before !== null
    ? `was ${cloud(before)}`
    : "has no mapping"

/** One request, for a person; without a place where it has none. */
export const planLine = (place: string, planned: PlannedRequest): string =>
  plainText(
    `${marks[planned.effect]} ${place === "" ? "" : `${place}  `}${planned.effect}  ${
      planned.address ?? planned.id ?? "?"
    }  ${detail(planned)}`
  )

export const planJson = (place: string, planned: PlannedRequest): string => JSON.stringify({ place, ...planned })

/** How many of each there are. */
export type PlanCounts = Record<PlannedEffect, number>

export const noCounts = (): PlanCounts => ({
  create: 0,
  update: 0,
  delete: 0,
  unchanged: 0,
  conflict: 0,
  invalid: 0,
  refused: 0
})

export const planSummary = (counts: PlanCounts): string =>
  effects.map((effect) => `${counts[effect]} ${effect}`).join(", ")
