import { apiErrors } from "@origin-regions/domain/ApiError"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Result, Schema, SchemaIssue } from "effect"

const LONGEST_DELAY = 600_000

const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: LONGEST_DELAY }))

/** Milliseconds: always the same, even between two bounds, or exponential with a mean and a bound. */
const Distribution = Schema.Union([
  Millis,
  Schema.Struct({ minimum: Millis, maximum: Millis }),
  Schema.Struct({ mean: Millis, maximum: Millis })
])

/** `before`: nothing was done. `after`: it was done, and the client can't know. */
const When = Schema.Literals(["before", "after"])

/**
 * What happens to a request:
 *
 * - `delay`: it waits before anything is done;
 * - `error`: it is answered with a 5xx and 1140, or the code that it says;
 * - `reset`: its connection is reset;
 * - `slow_body`: its answer comes in ten pieces over this time;
 * - `throttle`: it is answered with 429, and so is every other request of the rule for `storm_millis`.
 */
const Fault = Schema.Union([
  Schema.Struct({ type: Schema.Literal("delay"), millis: Distribution }),
  Schema.Struct({
    type: Schema.Literal("error"),
    status: Schema.Int.check(Schema.isBetween({ minimum: 500, maximum: 599 })),
    code: Schema.optionalKey(
      Schema.Literals([apiErrors.internal_error.code, apiErrors.region_check_failed.code])
    ),
    when: When
  }),
  Schema.Struct({ type: Schema.Literal("reset"), when: When }),
  Schema.Struct({ type: Schema.Literal("slow_body"), millis: Distribution }),
  Schema.Struct({
    type: Schema.Literal("throttle"),
    retry_after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3600 })),
    storm_millis: Schema.optionalKey(Millis)
  })
])

export type Fault = typeof Fault.Type

const Rule = Schema.Struct({
  /** Any method where it is left out. */
  methods: Schema.optionalKey(Schema.NonEmptyArray(Schema.Literals(["GET", "POST", "PUT", "PATCH", "DELETE"]))),
  /** Any zone where it is left out. */
  zone: Schema.optionalKey(ZoneId),
  /** The part of the rule's requests that it happens to; all where it is left out. */
  probability: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  /** How often it happens at most. */
  times: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))),
  fault: Fault
})

export type Rule = typeof Rule.Type

/** The faults to inject. With the same seed, the n-th request of a rule meets the same fate each time. */
export const FaultPlan = Schema.Struct({
  seed: Schema.Int,
  rules: Schema.Array(Rule).check(Schema.isMaxLength(32))
})

export type FaultPlan = typeof FaultPlan.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(FaultPlan), {
  errors: "all",
  onExcessProperty: "error"
})

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Reads a plan from JSON; the failure is a sentence for each problem, naming its place. */
export const readFaultPlan = (json: string): Result.Result<FaultPlan, string> =>
  Result.mapError(decode(json), ({ issue }) =>
    issuesOf(issue).issues
      .map(({ message, path }) => `${path?.length ? path.map(String).join(".") : "the plan"}: ${message}`)
      .join("; "))
