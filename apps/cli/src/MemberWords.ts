import { Effect, Redacted, Schema } from "effect"
import type { FoundRequest, Wanted } from "./Whereabouts.ts"

/** What a member of the group answers of requests that it has in hand, as far as it matters here: see docs/console.md. */
const Answer = Schema.Struct({
  requests: Schema.Array(Schema.Struct({
    partition: Schema.Int,
    offset: Schema.Int,
    state: Schema.String,
    attempt: Schema.Int,
    /** In milliseconds since 1970. */
    next_try: Schema.NullOr(Schema.Finite),
    explanation: Schema.String
  }))
})

/** A member's own words for a request. */
export type MemberWord = (typeof Answer.Type)["requests"][number] & { readonly member: string }

/** What members have said: about requests by their partition and offset; and those that said nothing, with why. */
export interface MemberWords {
  readonly of: ReadonlyMap<string, MemberWord>
  readonly silent: ReadonlyArray<{ readonly member: string; readonly problem: string }>
}

/** A member that hangs must not keep others from being heard. */
const PATIENCE = "5 seconds"

const ask = (member: URL, wanted: Wanted, token: Redacted.Redacted | undefined) =>
  Effect.tryPromise({
    try: async (signal) => {
      const base = member.href.endsWith("/") ? member : new URL(`${member.href}/`)
      const url = new URL("requests", base)
      const query = wanted._tag === "Id" ? { id: wanted.id } : { zone_id: wanted.zoneId, ip: wanted.originIp }
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      const headers = token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` }
      const response = await fetch(url, { headers, signal })
      if (response.status === 401) throw new Error("it wants another token: set HTTP_TOKEN")
      if (!response.ok) throw new Error(`it answers with status ${response.status}`)
      return await response.json() as unknown
    },
    catch: (error) =>
      error instanceof Error ? (error.cause instanceof Error ? error.cause : error).message : String(error)
  }).pipe(
    Effect.timeoutOrElse({ duration: PATIENCE, orElse: () => Effect.fail(`no answer within ${PATIENCE}`) }),
    Effect.flatMap((answer) =>
      Effect.mapError(Schema.decodeUnknownEffect(Answer)(answer), () => "its answer is not what a consumer answers")
    )
  )

/** Asks all members at once, each by its HTTP address. */
export const askMembers = Effect.fnUntraced(function*(
  members: ReadonlyArray<URL>,
  wanted: Wanted,
  token: Redacted.Redacted | undefined
) {
  const of = new Map<string, MemberWord>()
  const silent: Array<MemberWords["silent"][number]> = []
  yield* Effect.forEach(members, (member) =>
    Effect.match(ask(member, wanted, token), {
      onSuccess: ({ requests }) => {
        for (const request of requests) {
          of.set(`${request.partition}/${request.offset}`, { ...request, member: member.href })
        }
      },
      onFailure: (problem) => {
        silent.push({ member: member.href, problem })
      }
    }), { concurrency: "unbounded", discard: true })
  const words: MemberWords = { of, silent }
  return words
})

/** What a member says of a request. */
export const wordOf = ({ of }: MemberWords, { offset, partition }: FoundRequest): MemberWord | undefined =>
  of.get(`${partition}/${offset}`)
