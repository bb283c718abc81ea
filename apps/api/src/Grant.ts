import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Result, Schema, SchemaIssue } from "effect"

/** `read` and `write` are for mappings; `audit` and `faults` for the routes of those names. */
export const scopes = ["read", "write", "audit", "faults"] as const

export type Scope = typeof scopes[number]

/** What a credential may do. `sha256` is the hash of the token, or, with an e-mail address, of the API key, in hexadecimal digits. */
const Grant = Schema.Struct({
  email: Schema.optionalKey(Schema.NonEmptyString),
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/, { message: "must be 64 digits of 0-9 a-f" })),
  scopes: Schema.NonEmptyArray(Schema.Literals(scopes)),
  /** All zones where it is left out. */
  zones: Schema.optionalKey(Schema.Array(ZoneId))
})

export type Grant = typeof Grant.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({ tokens: Schema.Array(Grant) })), {
  errors: "all",
  onExcessProperty: "error"
})

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Reads `{"tokens": […]}`; the failure names the place of each problem, without what stands there. */
export const readGrants = (json: string): Result.Result<ReadonlyArray<Grant>, string> =>
  Result.mapBoth(decode(json), {
    onSuccess: ({ tokens }) => tokens,
    onFailure: ({ issue }) =>
      issuesOf(issue).issues.map(({ message, path }) =>
        path?.length ? `${path.map(String).join(".")}: ${message}` : message
      ).join("; ")
  })
