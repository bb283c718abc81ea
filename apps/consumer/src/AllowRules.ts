import { AttributeText } from "@origin-regions/domain/CloudEvent"
import type { MayChange } from "@origin-regions/domain/RequestReader"
import { Result, Schema, SchemaIssue } from "effect"

const SourcePattern = AttributeText.check(
  Schema.isPattern(/^[^*]*\*?$/, { message: "must have a * at its end only" })
)

const ZonePattern = Schema.String.check(
  Schema.isPattern(/^(?:[A-Za-z0-9_-]{1,32}|[A-Za-z0-9_-]{0,31}\*)$/, {
    message: "must be a zone's identifier, or the beginning of one with a * at its end"
  })
)

const atLeastOne = (what: string) => Schema.isMinLength(1, { message: `must have at least one ${what}` })

/** Lets events of a source change zones. Either is the whole text, or, with a `*` at its end, how the text begins. */
const AllowRule = Schema.Struct({
  source: SourcePattern,
  zones: Schema.Array(ZonePattern).check(atLeastOne("zone, or *"))
})

export type AllowRule = typeof AllowRule.Type

const decode = Schema.decodeUnknownResult(
  Schema.Struct({
    allow: Schema.Array(AllowRule).check(
      atLeastOne("rule: without ALLOW_RULES_FILE every source may change every zone")
    )
  }),
  { errors: "all", onExcessProperty: "error" }
)

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Reads `{"allow": […]}`; the failure names the place of each problem and what is to be there. */
export const readAllowRules = (json: string): Result.Result<ReadonlyArray<AllowRule>, string> =>
  Result.flatMap(parse(json), (value) =>
    Result.mapBoth(decode(value), {
      onSuccess: ({ allow }) => allow,
      onFailure: ({ issue }) =>
        issuesOf(issue).issues.map(({ message, path }) =>
          path?.length ? `${path.map(String).join(".")}: ${message}` : message
        ).join("; ")
    }))

const parse = (json: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(json))
  } catch {
    return Result.fail("it is not JSON")
  }
}

const ANY_END = "*"

const isBeginning = (pattern: string): boolean => pattern.endsWith(ANY_END)
const beginningOf = (pattern: string): string => pattern.slice(0, -ANY_END.length)

const matcherOf = (patterns: ReadonlyArray<string>) => {
  const whole = new Set(patterns.filter((pattern) => !isBeginning(pattern)))
  const beginnings = patterns.filter(isBeginning).map(beginningOf)
  return (text: string): boolean => whole.has(text) || beginnings.some((beginning) => text.startsWith(beginning))
}

/**
 * Who may change what by these rules: what any of them allows is allowed, and nothing else. Asked for every record, and it keeps nothing of what it
 * is asked: sources are the emitters' to choose.
 */
export const mayChangeBy = (rules: ReadonlyArray<AllowRule>): MayChange => {
  const zonesBySource = [...Map.groupBy(rules, ({ source }) => source)].map(
    ([source, rules]) => [source, matcherOf(rules.flatMap(({ zones }) => zones))] as const
  )
  const ofSource = new Map(zonesBySource.filter(([source]) => !isBeginning(source)))
  const ofBeginning = zonesBySource.filter(([source]) => isBeginning(source)).map(
    ([source, zones]) => [beginningOf(source), zones] as const
  )
  return (source, zoneId) =>
    ofSource.get(source)?.(zoneId) === true ||
    ofBeginning.some(([beginning, zones]) => source.startsWith(beginning) && zones(zoneId))
}
