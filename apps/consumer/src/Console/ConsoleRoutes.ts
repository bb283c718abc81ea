import { Clock, Effect, Result, Schedule, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { EndOffsets } from "../EndOffsets.ts"
import { OutcomeHistory } from "../OutcomeHistory.ts"
import { Pipeline } from "../Pipeline.ts"
import type { StatusReportInput } from "../StatusReport.ts"
import { latestOutcomes } from "./ConsoleOutcomes.ts"
import { nothingTold, snapshot } from "./ConsoleSnapshot.ts"
import { answer } from "./RequestAnswer.ts"
import { fits, readQuery } from "./RequestQuery.ts"

export interface ConsoleRoutesOptions {
  readonly groupId: string
  /** How things stand now. */
  readonly input: () => StatusReportInput
}

const MOST_OUTCOMES = 5_000
const DEFAULT_OUTCOMES = 100

const EVENT_SPACING = "1 second"

const badRequest = (error: string) => HttpServerResponse.jsonUnsafe({ error }, { status: 400 })

/** What nobody may keep: it is of this moment, and of who has the token. */
const fresh = { "cache-control": "no-store" }

const parametersOf = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ url }) => new URL(url, "http://localhost").searchParams
)

/** `limit` of `/outcomes`, or `undefined` where it is none. */
const limitOf = (text: string | null): number | undefined => {
  if (text === null) return DEFAULT_OUTCOMES
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MOST_OUTCOMES ? limit : undefined
}

/** What the console asks for: `/events`, a snapshot every second as server-sent events; `/requests`, where a request is; `/outcomes`, the last ones. */
export const consoleRoutes = ({ groupId, input }: ConsoleRoutesOptions) =>
  Effect.gen(function*() {
    const router = yield* HttpRouter.HttpRouter
    const pipeline = yield* Pipeline
    const history = yield* OutcomeHistory
    const endOffsets = yield* EndOffsets
    yield* router.add(
      "GET",
      "/requests",
      Effect.map(parametersOf, (parameters) => {
        const query = readQuery(parameters)
        if (Result.isFailure(query)) return badRequest(query.failure)
        const found = pipeline.find(({ event: { id }, originIp, zoneId }) =>
          fits(query.success, { id, originIp, zoneId })
        )
        const { startedAt } = history
        const told = answer({
          ...input(),
          query: query.success,
          found,
          outcomes: history.latest(),
          startedAt,
          endOffsets: endOffsets.current()
        })
        return HttpServerResponse.jsonUnsafe(told, { headers: fresh })
      })
    )
    yield* router.add(
      "GET",
      "/outcomes",
      Effect.map(parametersOf, (parameters) => {
        const limit = limitOf(parameters.get("limit"))
        return limit === undefined
          ? badRequest(`limit is none: expected a whole number from 1 to ${MOST_OUTCOMES}`)
          : HttpServerResponse.jsonUnsafe({ outcomes: latestOutcomes(history.latest(), limit) }, { headers: fresh })
      })
    )
    yield* router.add(
      "GET",
      "/events",
      Effect.sync(() => {
        let told = nothingTold
        const next = Effect.map(Clock.currentTimeMillis, (now) => {
          const [event, toldNow] = snapshot(
            { ...input(), groupId, history, endOffsets: endOffsets.current(), now },
            told
          )
          told = toldNow
          return `data: ${JSON.stringify(event)}\n\n`
        })
        return HttpServerResponse.stream(
          Stream.encodeText(Stream.fromEffectSchedule(next, Schedule.spaced(EVENT_SPACING))),
          { contentType: "text/event-stream", headers: { ...fresh, "x-accel-buffering": "no" } }
        )
      })
    )
  })
