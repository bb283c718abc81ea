import { steadyMillis } from "@origin-regions/domain/SteadyTime"
import { Clock, Duration, Effect, type Exit } from "effect"
import { type Dispatcher, Pool } from "undici"
import { ApiError, InvalidResponse, Unreachable } from "../ApiError.ts"

/** A complete answer, with its body not yet decoded. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  readonly body: Buffer
}

/** `headers` are alternating names and values. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly path: string
  readonly headers: Array<string>
  readonly body: string | null
}

interface HttpTransport {
  /** Sends a request once and reads its answer, or tells `failed` why there is none. Interruption aborts it. */
  readonly send: <A>(
    request: HttpRequest,
    read: (answer: HttpAnswer) => Exit.Exit<A, ApiError>,
    failed?: (error: ApiError) => void
  ) => Effect.Effect<A, ApiError>
  /** Calls that have no answer yet. */
  readonly underWay: () => number
  /** How often this process has been stopped, or starved, for longer than `STANDSTILL_MILLIS`, as far as its clock can tell; now included. */
  readonly standstills: () => number
}

/** A full zone's list of 3,500 mappings is half a mebibyte; nothing longer than this is an answer of the API. */
const maxAnswerBytes = 16 * 1024 * 1024

/** The timeout is kept in this many ticks, or more: a call ends at most a tick after its time is up. */
const TICKS_PER_TIMEOUT = 16

const LONGEST_TICK_MILLIS = 500

/** Beyond every pause of a process at work; far within the time after which a group gives the work of a member to others. */
const STANDSTILL_MILLIS = 2_000

/**
 * HTTP/1.1 with keep-alive to one origin, on undici's dispatcher. HTTP/2 is left out on purpose: with one call per connection, a
 * lost connection puts one call in doubt and not a hundred.
 *
 * One ticking fiber times all calls: a timer and a fiber for each would cost a tenth of what the call itself does.
 */
export const makeHttpTransport = Effect.fn("HttpTransport.make")(function*(options: {
  readonly origin: string
  readonly connections: number
  readonly timeout: Duration.Duration
}) {
  const timeout = Duration.toMillis(options.timeout)
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Pool(options.origin, {
        connections: options.connections,
        allowH2: false,
        connect: { timeout },
        // Off: these restart with every chunk; the clock below bounds the whole call.
        headersTimeout: 0,
        bodyTimeout: 0,
        maxResponseSize: maxAnswerBytes
      })
    ),
    (pool) => Effect.promise(() => pool.destroy())
  )

  const time = yield* Clock.Clock
  const monotonic = () => steadyMillis(time)
  const ticksPerTimeout = Math.max(TICKS_PER_TIMEOUT, Math.ceil(timeout / LONGEST_TICK_MILLIS))
  const clock: CallClock = { tick: 0, calls: new Set() }
  let tickedAt = monotonic()
  let standstills = 0
  const isLate = () => monotonic() - tickedAt > STANDSTILL_MILLIS
  const timedOut = `the timeout of ${Duration.format(options.timeout)} passed`
  yield* Effect.sleep(Duration.millis(timeout / ticksPerTimeout)).pipe(
    Effect.andThen(Effect.sync(() => {
      clock.tick += 1
      if (isLate()) standstills += 1
      tickedAt = monotonic()
      // Oldest first: the rest is younger.
      for (const call of clock.calls) {
        if (clock.tick - call.startedAt <= ticksPerTimeout) break
        call.timeOut(timedOut)
      }
    })),
    Effect.forever,
    Effect.forkScoped
  )

  const send: HttpTransport["send"] = (request, read, failed) =>
    Effect.callback((resume) => {
      const call = new Call(clock, (outcome) => {
        if (outcome instanceof ApiError) failed?.(outcome)
        resume(outcome instanceof ApiError ? Effect.fail(outcome) : Effect.suspend(() => read(outcome)))
      })
      pool.dispatch(request, call)
      return Effect.sync(() => call.abandon())
    })
  return {
    send,
    underWay: () => clock.calls.size,
    standstills: () => standstills + (isLate() ? 1 : 0)
  } satisfies HttpTransport
})

/** `tick` advances at an even pace; `calls` are those under way, oldest first. */
interface CallClock {
  tick: number
  readonly calls: Set<Call>
}

/** One request on its way: gathers the answer and settles once, with that or with why there is none. */
class Call implements Dispatcher.DispatchHandler {
  readonly startedAt: number
  readonly #clock: CallClock
  readonly #settle: (outcome: HttpAnswer | ApiError) => void
  #settled = false
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: HttpAnswer["headers"] = {}
  #body: Buffer = empty
  #chunks: Array<Buffer> | undefined

  constructor(clock: CallClock, settle: (outcome: HttpAnswer | ApiError) => void) {
    this.startedAt = clock.tick
    this.#clock = clock
    this.#settle = settle
    clock.calls.add(this)
  }

  /** Nobody waits for the answer any more. */
  abandon(): void {
    this.#end()
    this.#controller?.abort(abandoned)
  }

  timeOut(cause: string): void {
    const sent = this.#controller !== undefined
    this.abandon()
    this.#settle(unreachable(cause, sent))
  }

  /** Called when a connection is free and the request is about to be written. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, and not `controller.abort`: that would also close the idle connection, which has done no wrong.
    if (this.#settled) throw abandoned
    this.#controller = controller
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: HttpAnswer["headers"]): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body === empty) this.#body = chunk
    else if (this.#chunks === undefined) this.#chunks = [this.#body, chunk]
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#settled) return
    this.#end()
    this.#settle({
      status: this.#status,
      headers: this.#headers,
      body: this.#chunks === undefined ? this.#body : Buffer.concat(this.#chunks)
    })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return
    this.#end()
    this.#settle(
      "code" in error && error.code === "UND_ERR_RES_EXCEEDED_MAX_SIZE"
        ? new ApiError({
          reason: new InvalidResponse({ status: this.#status, problem: `a body of more than ${maxAnswerBytes} bytes` })
        })
        : unreachable(describe(error), this.#controller !== undefined)
    )
  }

  #end(): void {
    this.#settled = true
    this.#clock.calls.delete(this)
  }
}

const empty = Buffer.alloc(0)
const abandoned = new Error("abandoned")

const unreachable = (cause: string, sent: boolean): ApiError =>
  new ApiError({ reason: new Unreachable({ cause, sent }) })

/** An `AggregateError` (a name with several addresses, all refused) has no text of its own. */
const describe = (error: Error): string =>
  error instanceof AggregateError && error.message === ""
    ? error.errors.map((each: unknown) => each instanceof Error ? each.message : String(each)).join("; ")
    : error.message
