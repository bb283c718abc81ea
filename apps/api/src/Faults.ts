import { Clock, Context, Effect, Layer } from "effect"
import { hash } from "node:crypto"
import type { Fault, FaultPlan, Rule } from "./FaultPlan.ts"

/** A request as rules see it. */
export interface RuledRequest {
  readonly method: string
  readonly zone: string | undefined
}

/** A fault that a request meets, with its times drawn. */
export type Fate =
  | { readonly type: "delay" | "slow_body"; readonly millis: number }
  | Extract<Fault, { readonly type: "error" | "reset" }>
  | { readonly type: "throttle"; readonly retryAfter: number }

interface RuleState {
  readonly rule: Rule
  seen: number
  happened: number
  stormUntil: number
}

/** The faults that are injected into the API's answers, for tests and rehearsals. None at first. */
export class Faults extends Context.Service<Faults, {
  readonly plan: Effect.Effect<FaultPlan | undefined>
  /** Begins the plan, from its first request on. `undefined` ends all faults. */
  set(plan: FaultPlan | undefined): Effect.Effect<void>
  /** What a request meets, in the order of the rules. */
  fatesOf(request: RuledRequest): Effect.Effect<ReadonlyArray<Fate>>
}>()("@origin-regions/api/Faults") {
  static readonly layerNoDeps = Layer.sync(Faults, () => {
    let current: FaultPlan | undefined
    let states: ReadonlyArray<RuleState> = []
    return Faults.of({
      plan: Effect.sync(() => current),
      set: (plan) =>
        Effect.sync(() => {
          current = plan
          states = (plan?.rules ?? []).map((rule) => ({ rule, seen: 0, happened: 0, stormUntil: -Infinity }))
        }),
      fatesOf: (request) =>
        Effect.map(
          Clock.currentTimeMillis,
          (now) =>
            states.flatMap((state, index) =>
              matches(state.rule, request) ? fateOf(state, `${current?.seed}/${index}`, now) : []
            )
        )
    })
  })
}

const matches = ({ methods, zone }: Rule, request: RuledRequest): boolean =>
  (methods === undefined || methods.some((method) => method === request.method)) &&
  (zone === undefined || zone === request.zone)

const fateOf = (state: RuleState, stream: string, now: number): ReadonlyArray<Fate> => {
  const { fault, probability = 1, times = Infinity } = state.rule
  const [chance, measure] = draw(`${stream}/${state.seen++}`)
  if (now < state.stormUntil) return [drawn(fault, measure)]
  if (chance >= probability || state.happened >= times) return []
  state.happened++
  if (fault.type === "throttle") state.stormUntil = now + (fault.storm_millis ?? 0)
  return [drawn(fault, measure)]
}

/** Two numbers from 0 to 1, exclusive, that depend on nothing but the place in the stream. */
const draw = (place: string): readonly [number, number] => {
  const digest = hash("sha256", place, "buffer")
  return [digest.readUIntBE(0, 6) / 2 ** 48, digest.readUIntBE(6, 6) / 2 ** 48]
}

const drawn = (fault: Fault, measure: number): Fate => {
  switch (fault.type) {
    case "delay":
    case "slow_body":
      return { type: fault.type, millis: millisOf(fault.millis, measure) }
    case "throttle":
      return { type: "throttle", retryAfter: fault.retry_after }
    case "error":
    case "reset":
      return fault
  }
}

const millisOf = (distribution: Extract<Fault, { readonly type: "delay" }>["millis"], measure: number): number => {
  if (typeof distribution === "number") return distribution
  return "mean" in distribution
    ? Math.min(-Math.log(1 - measure) * distribution.mean, distribution.maximum)
    : distribution.minimum + measure * (distribution.maximum - distribution.minimum)
}
