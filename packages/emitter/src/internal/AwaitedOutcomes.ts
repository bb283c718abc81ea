import { type MappingOutcome, mirroredHeader, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { Deferred, Effect, Option } from "effect"
import { EmitterClosed, EmitterError, InvalidRequests } from "../EmitterError.ts"
import type { OutcomeRecord } from "../EmitterKafka.ts"
import type { Shipment } from "./SendQueue.ts"

const CAUSATION = mirroredHeader("causationid") ?? ""

const decoder = new TextDecoder()

/** The text of a header in any of the forms that clients have them in; of a repeated one the last counts. */
const headerText = (header: unknown): string | undefined => {
  const value: unknown = Array.isArray(header) ? header.at(-1) : header
  return typeof value === "string" ? value : value instanceof Uint8Array ? decoder.decode(value) : undefined
}

interface Awaited {
  readonly outcome: Deferred.Deferred<MappingOutcome, EmitterError>
  readonly shipment: Shipment
}

/** Requests whose outcome somebody waits for, by their id; all have the emitter's source. */
export class AwaitedOutcomes {
  readonly #source: string
  readonly #byId = new Map<string, Awaited>()

  constructor(source: string) {
    this.#source = source
  }

  /** From the topic, where most outcomes are somebody else's: their headers are enough to tell. */
  readonly received = ({ headers, value }: OutcomeRecord): void => {
    const id = headerText(headers?.[CAUSATION])
    const awaited = id === undefined ? undefined : this.#byId.get(id)
    if (awaited === undefined || value === null) return
    const outcome = readOutcome(value)
    if (Option.isNone(outcome) || outcome.value.data.request.source !== this.#source) return
    Deferred.doneUnsafe(awaited.outcome, Effect.succeed(outcome.value))
  }

  /** Waits for a request's outcome with what `use` makes of the wait. One request cannot be awaited twice at the same time: its records have an outcome each. */
  readonly awaiting = <A, E, R>(
    id: string,
    shipment: Shipment,
    use: (outcome: Effect.Effect<MappingOutcome, EmitterError>) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | EmitterError, R> =>
    Effect.suspend((): Effect.Effect<A, E | EmitterError, R> => {
      if (this.#byId.has(id)) {
        const problem = {
          request: 0,
          field: "id",
          message: `the outcome of the request ${id} is being awaited already`
        }
        return Effect.fail(new EmitterError({ reason: new InvalidRequests({ requests: 1, problems: [problem] }) }))
      }
      const outcome = Deferred.makeUnsafe<MappingOutcome, EmitterError>()
      this.#byId.set(id, { outcome, shipment })
      return Effect.ensuring(use(Deferred.await(outcome)), Effect.sync(() => this.#byId.delete(id)))
    })

  /** Nothing will come any more. */
  readonly close = (): void => {
    for (const { outcome, shipment } of this.#byId.values()) {
      const reason = new EmitterClosed({ sent: shipment.withdraw() })
      Deferred.doneUnsafe(outcome, Effect.fail(new EmitterError({ reason })))
    }
  }
}
