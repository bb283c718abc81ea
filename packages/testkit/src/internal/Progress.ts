import type { Effect } from "effect"

/** Tells a person what takes its time, in one sentence. */
export type Progress = (sentence: string) => Effect.Effect<void>
