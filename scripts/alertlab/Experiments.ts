import { Api } from "@origin-regions/testkit/Api"
import { Duration, Effect, Fiber, Layer, Schedule, type Scope } from "effect"
import { type Member, type System, upsert } from "./System.ts"
import { deleteTopic } from "./TopicDeletion.ts"

type Environment = Readonly<Record<string, string>>

/** A cause of an alert, made for real. */
export interface Experiment {
  readonly alert: string
  readonly cause: string
  /** How many members there are; one, if it does not matter. */
  readonly members?: number
  /** It breaks the broker, and has one of its own. */
  readonly breaksBroker?: boolean
  /** Settings of the members, and of the API; `factor` is by how much time runs faster. */
  readonly settings?: (factor: number) => { readonly consumer?: Environment; readonly api?: Environment }
  /** Makes the cause, which goes with the scope. */
  readonly make: (system: System, factor: number) => Effect.Effect<void, { readonly message: string }, Scope.Scope>
}

const memberOf = ({ members }: System, place = 0): Member => {
  const member = members[place]
  if (member === undefined) throw new Error(`there is no member ${place}`)
  return member
}

/** Both can fail: what can't be taken back ends the laboratory. */
const until = (made: Effect.Effect<void, { readonly message: string }>, undone: Effect.Effect<void, unknown>) =>
  Effect.asVoid(Effect.acquireRelease(made, () => Effect.orDie(undone)))

/** As long as the scope is open. */
const again = (what: Effect.Effect<unknown, unknown>, pause: "100 millis" | "1 second") =>
  Effect.asVoid(Effect.forkScoped(Effect.repeat(Effect.ignore(what), Schedule.spaced(pause))))

const failing = (...rules: ReadonlyArray<object>) => ({ fail }: System) => until(fail(...rules), fail())

const FAILING_ZONE = "failing"

/** In MiB: a member that has little to do needs some forty. */
const FIRST_HEAP = 50
/** By so much less it gets from start to start: well within the tenth of which the alert tells. */
const LESS_HEAP = 0.96

/** All alerts, in the order of the rules. */
export const experiments: ReadonlyArray<Experiment> = [
  {
    alert: "ConsumerDown",
    cause: "one of two members is killed",
    members: 2,
    make: (system) => until(memberOf(system).kill, memberOf(system).start())
  },
  {
    alert: "ConsumerDown",
    cause: "one of two members stands still",
    members: 2,
    make: (system) => until(memberOf(system).pause, memberOf(system).resume)
  },
  {
    alert: "NoConsumer",
    cause: "the only member is killed",
    make: (system) => until(memberOf(system).kill, memberOf(system).start())
  },
  {
    alert: "ConsumerNotReady",
    cause: "a member starts while the API is away",
    make: (system) =>
      until(
        memberOf(system).terminate.pipe(Effect.andThen(system.api.stop), Effect.andThen(memberOf(system).start())),
        system.api.start
      )
  },
  {
    alert: "ConsumerNotReady",
    cause: "Kafka's only broker is killed",
    breaksBroker: true,
    make: ({ broker }) => until(broker.kill, broker.start)
  },
  {
    alert: "LagGrowsWithoutOutcomes",
    cause: "the API takes calls and answers none",
    make: failing({ fault: { type: "delay", millis: 600_000 } })
  },
  {
    alert: "CredentialRefused",
    cause: "the token is revoked",
    make: ({ api }) =>
      Effect.acquireRelease(api.stop, () => Effect.orDie(api.start)).pipe(
        Effect.andThen(
          Layer.build(
            Api.layerWith({ port: Number(new URL(api.baseUrl).port), databasePath: api.databasePath, token: "another" })
          )
        ),
        Effect.asVoid
      )
  },
  {
    alert: "ApiPaused",
    cause: "the API is killed",
    make: ({ api }) => until(api.kill, api.start)
  },
  {
    alert: "ApiPaused",
    cause: "the API answers 429 to everything",
    make: failing({ fault: { type: "throttle", retry_after: 1 } })
  },
  {
    alert: "ZonesPausedForLong",
    cause: "the API answers 503 for one zone",
    make: (system) =>
      Effect.andThen(
        failing({ zone: FAILING_ZONE, fault: { type: "error", status: 503, when: "before" } })(system),
        // Enough for the zone to be paused, and not only its requests.
        system.emit(...Array.from({ length: 20 }, (_, number) => upsert(FAILING_ZONE, number)))
      )
  },
  {
    alert: "QuotaUsedUp",
    cause: "requests come faster than the quota allows",
    settings: (factor) => ({
      api: {
        API_RATE_LIMIT: "30",
        API_RATE_LIMIT_WINDOW: `${Math.round(300_000 / factor)} millis`,
        API_RATE_LIMIT_BLOCK: `${Math.round(300_000 / factor)} millis`
      }
    }),
    make: ({ emit }) => {
      let number = 0
      // Each for a zone of its own, so that none can go together.
      return again(Effect.suspend(() => emit(upsert(`zone-${number}`, number++))), "100 millis")
    }
  },
  {
    alert: "DeadLetters",
    cause: "somebody sends what can't be read",
    make: ({ emit }) => emit({ key: null, value: new TextEncoder().encode("no event"), headers: [] })
  },
  {
    alert: "OutcomesNotPublished",
    cause: "the outcomes' topic is deleted",
    make: ({ broker: { brokers }, makeTopic, topics: { outcomes } }) =>
      until(deleteTopic(brokers, outcomes), makeTopic(outcomes))
  },
  {
    alert: "RebalanceStorm",
    cause: "two of three members come and go",
    members: 3,
    make: (system) =>
      Effect.forEach([1, 2], (place) =>
        again(
          Effect.andThen(memberOf(system, place).terminate, memberOf(system, place).start()),
          "1 second"
        ), { discard: true })
  },
  {
    alert: "MemoryNearlyUsedUp",
    cause: "a member is given hardly more memory than it needs",
    make: (system, factor) => {
      // What it needs is what it is given when the alert has fired.
      let mebibytes = FIRST_HEAP
      const startWithLess = Effect.suspend(() => {
        mebibytes *= LESS_HEAP
        return memberOf(system).start({ NODE_OPTIONS: `--max-old-space-size=${Math.round(mebibytes)}` })
      })
      return Effect.acquireRelease(
        Effect.forkChild(
          Effect.andThen(
            Effect.andThen(memberOf(system).kill, startWithLess),
            Effect.sleep(Duration.minutes(10 / factor))
          )
            .pipe(Effect.forever)
        ),
        (starting) =>
          Fiber.interrupt(starting).pipe(
            Effect.andThen(memberOf(system).kill),
            Effect.andThen(memberOf(system).start()),
            Effect.orDie
          )
      )
    }
  }
]
