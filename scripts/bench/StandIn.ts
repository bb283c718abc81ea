import { type ChildProcessError, spawn } from "@origin-regions/testkit/ChildProcess"
import type { Leash } from "@origin-regions/testkit/Leash"
import { Effect, Schema, type Scope } from "effect"
import * as NodePath from "node:path"

const StandInReport = Schema.Struct({
  /** HTTP requests that have come with upserts. */
  requests: Schema.Int,
  /** Upserts that have come. */
  calls: Schema.Int,
  answered: Schema.Int,
  /** Calls for a request that had been called for before. */
  duplicates: Schema.Int,
  /** Calls that came after one for a later request of the same address. */
  reordered: Schema.Int,
  /** Calls that came while another one for the same address was under way: only luck keeps their order. */
  overlapping: Schema.Int,
  /** When the last answer was given, in milliseconds since 1970. */
  answeredAt: Schema.Finite,
  /** When this was told. */
  at: Schema.Finite
})

/** What the API's stand-in has seen. */
export type StandInReport = typeof StandInReport.Type

/** A stand-in for the API, as a process of its own. */
export interface StandIn {
  readonly origin: string
  readonly pid: number
  readonly report: Effect.Effect<StandInReport>
}

const decodePort = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ port: Schema.Int })))
const decodeReport = Schema.decodeUnknownEffect(StandInReport)

/** Starts one that takes so many milliseconds for a call. */
export const startStandIn: (
  latency: number
) => Effect.Effect<StandIn, ChildProcessError, Scope.Scope | Leash> = Effect.fnUntraced(function*(latency) {
  const child = yield* spawn({
    name: "The API's stand-in",
    command: process.execPath,
    args: [NodePath.join(import.meta.dirname, "ApiStandIn.ts")],
    environment: { LATENCY: String(latency) }
  })
  const { port } = yield* child.firstLine(decodePort)
  const origin = `http://127.0.0.1:${port}`
  return {
    origin,
    pid: child.pid,
    report: Effect.tryPromise(async () => {
      const response = await fetch(`${origin}/report`)
      return response.json()
    }).pipe(Effect.flatMap(decodeReport), Effect.orDie)
  }
})
