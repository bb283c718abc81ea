import { makePacedLoad, type PacedLoad } from "../bench/PacedLoad.ts"
import type { Bench } from "./Bench.ts"

/** Requests at an even pace, each for an address of its own. */
export const makeLoad = ({ send }: Bench, rate: number, limit?: number): PacedLoad =>
  makePacedLoad({
    send,
    rate,
    pause: "5 millis",
    requestOf: (number) => ({ number, address: number, turn: 0 }),
    ...(limit === undefined ? undefined : { limit })
  })
