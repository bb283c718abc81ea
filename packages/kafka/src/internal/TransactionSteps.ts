import type { createRequire } from "node:module"
import { setTimeout } from "node:timers/promises"

/** What the steps of a transaction have in common. */
interface InTransaction {
  readonly transactionalId: string
  readonly producerId: unknown
  readonly producerEpoch: number
}

interface WithGroup extends InTransaction {
  readonly groupId: string
}

/** kafkajs' own brokers, as far as a coordinator of transactions is asked by them. */
interface Broker {
  addPartitionsToTxn(request: InTransaction): Promise<unknown>
  addOffsetsToTxn(request: WithGroup): Promise<unknown>
  endTxn(request: InTransaction): Promise<unknown>
}

/** How a producer stands in its transaction under way, whichever broker its coordinator is just now. */
interface Standing {
  readonly producer: string
  /** The group whose offsets were in the last transaction that had any. */
  groupId: string | undefined
  /** Announcements of partitions that have no answer yet. */
  announcing: number
  /** Whether the offsets have been announced, once that is known. */
  offsets: Promise<boolean> | undefined
}

/** The transaction before is over in a few milliseconds. If it is not, kafkajs tries again in its own way. */
const ATTEMPTS = 20
const SPACING_MILLIS = 1

const isStillEnding = (error: unknown): boolean =>
  error instanceof Error && "type" in error && error.type === "CONCURRENT_TRANSACTIONS"

/** Asks again while the transaction before is still being ended. */
const onceEnded = async <A>(ask: () => Promise<A>): Promise<A> => {
  for (let attempt = 1;; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (!isStillEnding(error) || attempt === ATTEMPTS) throw error
      await setTimeout(SPACING_MILLIS)
    }
  }
}

/**
 * Takes out of kafkajs' transactions what they wait for needlessly.
 *
 * - While a coordinator ends the transaction before, it refuses what the next one begins with. If these are partitions, kafkajs reads the cluster's metadata anew, and waits for
 *   longer than that takes; if these are offsets, it fails.
 * - Offsets are announced when the records have been written. They can be as soon as the records' partitions have been, and are where the producer's last transaction had
 *   offsets, too. Where that comes to nothing, it is done again in its own time.
 */
export const hastenTransactions = (require: ReturnType<typeof createRequire>): void => {
  const { prototype: broker } = require("kafkajs/src/broker") as { readonly prototype: Broker }
  const { addOffsetsToTxn, addPartitionsToTxn, endTxn } = broker
  /** By transactional id, of the producer that had it last. */
  const standings = new Map<string, Standing>()

  const standingOf = ({ producerEpoch, producerId, transactionalId }: InTransaction): Standing => {
    const producer = `${String(producerId)}/${producerEpoch}`
    const known = standings.get(transactionalId)
    if (known?.producer === producer) return known
    const standing = { producer, groupId: undefined, announcing: 0, offsets: undefined }
    standings.set(transactionalId, standing)
    return standing
  }

  broker.addPartitionsToTxn = async function(request) {
    const standing = standingOf(request)
    standing.announcing += 1
    const answer = await onceEnded(() => addPartitionsToTxn.call(this, request)).finally(() => {
      standing.announcing -= 1
    })
    const { announcing, groupId, offsets } = standing
    if (announcing === 0 && groupId !== undefined && offsets === undefined) {
      const { producerEpoch, producerId, transactionalId } = request
      const early = { transactionalId, producerId, producerEpoch, groupId }
      standing.offsets = onceEnded(() => addOffsetsToTxn.call(this, early)).then(() => true, () => false)
    }
    return answer
  }

  broker.addOffsetsToTxn = async function(request) {
    const standing = standingOf(request)
    const isAnnounced = standing.groupId === request.groupId && await standing.offsets
    standing.groupId = request.groupId
    return isAnnounced === true ? undefined : onceEnded(() => addOffsetsToTxn.call(this, request))
  }

  broker.endTxn = async function(request) {
    standingOf(request).offsets = undefined
    return endTxn.call(this, request)
  }
}
