import { Clock, Effect, Layer } from "effect"

const clock = Clock.Clock.defaultValue()

/** Processes, sockets and brokers know no test clock: what waits for them waits in real time, also inside `it.effect`. */
export const inRealTime = Effect.provideService(Clock.Clock, clock)

/** The same for the building of a layer. */
export const layerRealTime = Layer.succeed(Clock.Clock, clock)
