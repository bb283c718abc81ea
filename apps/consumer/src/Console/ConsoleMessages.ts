/** What the console and its server tell each other: see docs/console.md. Times are in milliseconds since 1970, durations in milliseconds. */

export interface ConsolePartition {
  readonly partition: number
  /** The first offset without an outcome. */
  readonly head: number
  /** The offset that is read next. */
  readonly position: number
  /** Records read that have no outcome. */
  readonly undone: number
  readonly waiting: number
  /** Whether no more is read. */
  readonly paused: boolean
  /** Records without an outcome, those not read included; `null` where Kafka does not tell. */
  readonly lag: number | null
}

/** Five seconds of outcomes. `counts` are in the order of the codes. */
export interface ConsolePoint {
  readonly time: number
  readonly counts: ReadonlyArray<number>
  readonly p50: number | null
  readonly p99: number | null
}

export interface ConsoleOutcome {
  /** When it was published. */
  readonly time: number
  readonly code: string
  readonly kind: "succeeded" | "rejected" | "failed"
  readonly zone_id: string | null
  readonly ip: string | null
  readonly id: string | null
  readonly source: string | null
  readonly operation: string | null
  readonly partition: number
  readonly offset: number
  /** From the request's record to this; `null` where the record has no time. */
  readonly took: number | null
  readonly attempts: number
  readonly recovered: boolean
}

/** What `/events` sends every second. */
export interface ConsoleSnapshot {
  readonly time: number
  readonly member: {
    readonly group: string
    readonly topic: string
    readonly ready: boolean
    readonly phase: string
    readonly started: number
  }
  /** What waits, since when, for what and until when: the sentences of `/status`. */
  readonly explanation: ReadonlyArray<string>
  /** Outcomes in a second, of the last ten. */
  readonly rate: number
  /** Of the outcomes of the last minute, from the request's record on. */
  readonly p50: number | null
  readonly p99: number | null
  readonly calls: number
  readonly in_flight: number
  readonly queued: number
  readonly waiting: number
  readonly unpublished: number
  /** Why outcomes can't be published, where they can't. */
  readonly publishing_problem: string | null
  readonly zones_paused: number
  readonly quota: {
    readonly limit: number
    readonly window_seconds: number
    readonly left: number
    readonly next_call: number | null
  } | null
  readonly partitions: ReadonlyArray<ConsolePartition>
  readonly codes: ReadonlyArray<string>
  /** Of the last 15 minutes and of the last one, by code. */
  readonly totals: { readonly window: ReadonlyArray<number>; readonly minute: ReadonlyArray<number> }
  /** What is new since the event before: all that is remembered, in the first one. */
  readonly points: ReadonlyArray<ConsolePoint>
  /** The last outcomes, from the latest on; left out where there are none since the event before. */
  readonly outcomes?: ReadonlyArray<ConsoleOutcome>
}

/** A request without an outcome, and where it is. */
export interface ConsoleRequest {
  readonly state: "in_call" | "queued" | "waiting" | "unpublished"
  readonly zone_id: string | null
  readonly ip: string | null
  readonly id: string | null
  readonly source: string | null
  readonly operation: string | null
  readonly partition: number
  readonly offset: number
  /** The record's timestamp; `null` where it has none. */
  readonly timestamp: number | null
  /** How many requests of its address go before it. */
  readonly ahead: number
  /** Which attempt is under way, or comes next. */
  readonly attempt: number
  /** Whether an earlier attempt may have been applied. */
  readonly in_doubt: boolean
  readonly next_try: number | null
  readonly explanation: string
}

/** What `/requests` answers. */
export interface ConsoleAnswer {
  /** The first fifty, in the order of their partitions. */
  readonly requests: ReadonlyArray<ConsoleRequest>
  readonly requests_found: number
  /** The last fifty, from the latest on. */
  readonly outcomes: ReadonlyArray<ConsoleOutcome>
  readonly outcomes_found: number
  /** Where it belongs by its key, where its zone and address are known. */
  readonly partition: { readonly number: number; readonly is_ours: boolean } | null
  /** Where nothing was found: what that means, in sentences. */
  readonly explanation: ReadonlyArray<string>
}
