import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { Deferred, Effect, Exit, Queue, type Scope } from "effect"
import { EmitterClosed, EmitterError, SendFailed, type Sent, WrongPartitions } from "../EmitterError.ts"
import type { EmitterKafka, EmitterKafkaError, Placement, RequestRecord } from "../EmitterKafka.ts"

/** Requests that wait for the send that is under way, before those who emit have to wait. */
const CAPACITY = 1024

/** What goes into one send: small enough for a broker's default `max.message.bytes`, should all be for one partition. */
const MAX_RECORDS = 512
const MAX_BYTES = 512 * 1024

/** Requests that were given together: sent in their order, and none after one that failed. */
export class Shipment {
  readonly records: ReadonlyArray<RequestRecord>
  readonly done = Deferred.makeUnsafe<void, EmitterError>()
  written = 0
  underWay = 0
  #withdrawn = false

  constructor(records: ReadonlyArray<RequestRecord>) {
    this.records = records
  }

  get isWithdrawn(): boolean {
    return this.#withdrawn
  }

  get sent(): Sent {
    return this.written === this.records.length ? "yes" : this.written + this.underWay > 0 ? "maybe" : "no"
  }

  /** What has not begun yet will not. */
  withdraw(): Sent {
    this.#withdrawn = true
    return this.sent
  }
}

interface Entry {
  readonly shipment: Shipment
  readonly record: RequestRecord
}

export interface SendQueue {
  /** Waits until all of it is written. Interrupted, it withdraws what was not sent yet. */
  readonly ship: (shipment: Shipment) => Effect.Effect<void, EmitterError>
}

/**
 * Sends what comes, one batch at a time: what comes while one is under way goes together in the next. Closing the scope sends what was accepted, and refuses the
 * rest.
 */
export const makeSendQueue = Effect.fnUntraced(
  function*(send: EmitterKafka["Service"]["send"]): Effect.fn.Return<SendQueue, never, Scope.Scope> {
    const queue = yield* Queue.bounded<Entry>(CAPACITY)
    const accepted = new Set<Shipment>()
    let isClosed = false

    const sendBatch = Effect.fnUntraced(function*(batch: ReadonlyArray<Entry>) {
      const entries = batch.filter(({ shipment }) => !shipment.isWithdrawn)
      if (entries.length === 0) return
      for (const { shipment } of entries) shipment.underWay += 1
      const exit = yield* Effect.exit(send(entries.map(({ record }) => record)))
      const { lost, misplaced } = Exit.isSuccess(exit) ? check(entries, exit.value) : { lost: detailOf(exit) }
      for (const shipment of new Set(entries.map(({ shipment }) => shipment))) {
        if (lost !== undefined) {
          const { records: { length: requests }, underWay: doubtful, written } = shipment
          refuse(shipment, new SendFailed({ detail: lost, requests, written, doubtful }))
          continue
        }
        shipment.written += shipment.underWay
        shipment.underWay = 0
        if (misplaced !== undefined) refuse(shipment, misplaced)
        else if (shipment.sent === "yes") Deferred.doneUnsafe(shipment.done, Effect.void)
      }
    })

    const work = Effect.gen(function*() {
      for (const batch of batchesOf(yield* Queue.takeBetween(queue, 1, MAX_RECORDS))) yield* sendBatch(batch)
    })
    yield* Effect.forkScoped(Effect.forever(work))
    yield* Effect.addFinalizer(() => {
      isClosed = true
      return Effect.forEach(accepted, ({ done }) => Effect.exit(Deferred.await(done)), { discard: true })
    })

    return {
      ship: (shipment) =>
        Effect.suspend(() => {
          if (isClosed) return Effect.fail(new EmitterError({ reason: new EmitterClosed({ sent: "no" }) }))
          if (shipment.records.length === 0) return Effect.void
          accepted.add(shipment)
          return Queue.offerAll(queue, shipment.records.map((record) => ({ shipment, record }))).pipe(
            Effect.andThen(Deferred.await(shipment.done)),
            Effect.onInterrupt(() => Effect.sync(() => shipment.withdraw())),
            Effect.ensuring(Effect.sync(() => accepted.delete(shipment)))
          )
        })
    }
  }
)

const refuse = (shipment: Shipment, reason: EmitterError["reason"]): void => {
  shipment.withdraw()
  Deferred.doneUnsafe(shipment.done, Effect.fail(new EmitterError({ reason })))
}

const detailOf = (exit: Exit.Failure<unknown, EmitterKafkaError>): string => {
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error.detail : String(reason?._tag === "Die" ? reason.defect : reason?._tag)
}

const encoder = new TextEncoder()

interface Findings {
  /** Why some of the records may not be there. */
  readonly lost?: string
  readonly misplaced?: WrongPartitions
}

/** Compares where a send wrote, where it tells, with where Java's clients would. */
const check = (entries: ReadonlyArray<Entry>, placement: Placement | void): Findings => {
  if (placement === undefined) return {}
  const { of: partitions } = placement
  const expected = new Set(entries.map(({ record }) => keyPartition(encoder.encode(record.key), partitions)))
  const found = new Set(placement.partitions)
  if (!found.isSubsetOf(expected)) {
    return { misplaced: new WrongPartitions({ expected: [...expected], found: [...found], partitions }) }
  }
  // kafkajs leaves a partition out, and says nothing, where its leader has moved between two tries.
  const missing = expected.difference(found)
  return missing.size === 0 ? {} : { lost: `partition ${[...missing].join(", ")} acknowledged nothing` }
}

const sizeOf = ({ record }: Entry): number => 200 + Buffer.byteLength(record.value) + Buffer.byteLength(record.key)

const batchesOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<ReadonlyArray<Entry>> => {
  const batches: Array<Array<Entry>> = [[]]
  let bytes = 0
  for (const entry of entries) {
    const size = sizeOf(entry)
    if (bytes > 0 && bytes + size > MAX_BYTES) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)?.push(entry)
    bytes += size
  }
  return batches
}
