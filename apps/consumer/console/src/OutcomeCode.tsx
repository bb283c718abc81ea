import type { ConsoleOutcome } from "../../src/Console/ConsoleMessages.ts"

const kinds = {
  created: "succeeded",
  upserted: "succeeded",
  deleted: "succeeded",
  unchanged: "succeeded",
  expired: "failed",
  gave_up: "failed"
} as const

/** What codes mean: Cloudflare's numbers are nobody's to remember. */
const meanings: Readonly<Record<string, string>> = {
  "1135": "not in its plan",
  "1145": "already exists",
  "1146": "invalid address",
  "1157": "unsupported region",
  "1164": "zone is full",
  "7003": "unknown zone",
  malformed_request: "malformed",
  gave_up: "gave up"
}

export const kindOf = (code: string): ConsoleOutcome["kind"] =>
  Object.hasOwn(kinds, code) ? kinds[code as keyof typeof kinds] : "rejected"

const signs = { succeeded: "✓", rejected: "✕", failed: "!" } as const

/** A code, in words too, marked by what kind it is and not by colour alone. */
export const OutcomeCode = ({ code }: { readonly code: string }) => {
  const kind = kindOf(code)
  const meaning = meanings[code]
  return (
    <span class={`code ${kind}`}>
      <span class="sign" role="img" aria-label={kind}>{signs[kind]}</span>
      {meaning === undefined ? code : /^\d/.test(code) ? `${code} ${meaning}` : meaning}
    </span>
  )
}
