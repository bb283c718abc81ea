import { Cause, Clock, Duration, Effect, Latch, Redacted, Schedule, Semaphore } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { OtlpResource, OtlpSerialization } from "effect/observability"
import type { OtlpSpan } from "../Span.ts"
import type { TraceSettings } from "../TraceSettings.ts"

/** Spans that wait to be sent: some megabytes at most. More than these are dropped. */
const MAX_WAITING = 4_096
/** Spans that go in one request. */
const BATCH = 512
/** How long a span waits for others. */
const GATHERING = Duration.seconds(1)
/** For one request, as OpenTelemetry has it. */
const TIMEOUT = Duration.seconds(10)
const RETRIES = 3
/** How long the end waits for what is left. */
const LAST_SEND = Duration.seconds(1)
/** A collector that is down loses thousands of spans: one line now and then speaks for all. */
const LINE_SPACING = Duration.toMillis(Duration.minutes(1))

const SCOPE = { name: "@origin-regions" }

/** Of an address what is no secret. */
const shown = ({ origin, pathname }: URL): string => origin + pathname

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const problem = Cause.squash(cause)
  if (Cause.isTimeoutError(problem)) return `no answer within ${Duration.format(TIMEOUT)}`
  return problem instanceof Error ? problem.message : String(problem)
}

/**
 * Sends spans to a collector, some hundred at a time, one request after the other, and says now and then that some are lost. Nobody waits for it, and it keeps no more
 * than `MAX_WAITING`. Effect's own exporter has no bound where the collector is slow, and no line (decision 0017).
 */
export const makeSpanExporter = Effect.fnUntraced(function*(settings: TraceSettings) {
  const clock = yield* Clock.Clock
  const serialization = yield* OtlpSerialization.OtlpSerialization
  const full = yield* Latch.make(false)
  const oneAtATime = yield* Semaphore.make(1)
  const resource = {
    attributes: OtlpResource.entriesToAttributes(
      Object.entries({ ...settings.resource, "service.name": settings.serviceName })
    ),
    droppedAttributesCount: 0
  }
  const client = (yield* HttpClient.HttpClient).pipe(
    HttpClient.transformResponse(Effect.timeout(TIMEOUT)),
    HttpClient.filterStatusOk,
    HttpClient.retryTransient({ times: RETRIES, schedule: Schedule.exponential("1 second") })
  )
  const request = HttpClientRequest.post(settings.url, { headers: Redacted.value(settings.headers) })
  const waiting: Array<OtlpSpan> = []
  let underWay = 0
  let lost = 0
  let nextLineAt = 0

  const ended = (span: OtlpSpan): void => {
    if (waiting.length >= MAX_WAITING) {
      lost += 1
      return
    }
    waiting.push(span)
    if (waiting.length >= BATCH) full.openUnsafe()
  }

  const tell = (problem: string) =>
    Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      if (lost === 0 || now < nextLineAt) return Effect.void
      nextLineAt = now + LINE_SPACING
      const line = `Traces are lost: ${lost} spans could not be sent to ${shown(settings.url)}: ${problem}`
      lost = 0
      return Effect.logWarning(line)
    })

  const send = (spans: Array<OtlpSpan>) => {
    const body = serialization.traces({ resourceSpans: [{ resource, scopeSpans: [{ scope: SCOPE, spans }] }] })
    underWay = spans.length
    return client.execute(HttpClientRequest.setBody(request, body)).pipe(
      // Read, so that the connection can be used again.
      Effect.flatMap((response) => response.arrayBuffer),
      Effect.matchCauseEffect({
        onSuccess: () => {
          underWay = 0
          return tell("it is too slow")
        },
        onFailure: (cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.void
          lost += underWay
          underWay = 0
          return tell(problemOf(cause))
        }
      })
    )
  }

  const sendRest: Effect.Effect<void> = Effect.suspend(() => {
    full.closeUnsafe()
    return waiting.length === 0 ? Effect.void : Effect.andThen(send(waiting.splice(0, BATCH)), sendRest)
  })
  const sendAll = oneAtATime.withPermit(sendRest).pipe(
    Effect.withTracerEnabled(false),
    Effect.provideService(HttpClient.TracerPropagationEnabled, false)
  )

  yield* full.await.pipe(
    Effect.timeoutOption(GATHERING),
    Effect.andThen(sendAll),
    Effect.forever,
    Effect.forkScoped
  )
  // Registered last, and so run first: what is under way when the end comes has time to arrive.
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Effect.timeoutOption(Effect.interruptible(sendAll), LAST_SEND),
      Effect.suspend(() => {
        lost += waiting.length + underWay
        nextLineAt = 0
        return tell(`no answer within ${Duration.format(LAST_SEND)} at the end`)
      })
    )
  )
  return ended
})
