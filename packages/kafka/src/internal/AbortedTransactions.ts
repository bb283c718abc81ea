/** A record of a fetch response, as far as this filter looks at it. */
interface FetchedMessage {
  readonly offset: string
  readonly key: Uint8Array | null
  readonly isControlRecord: boolean
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
}

interface AbortedTransaction {
  readonly producerId: string
  readonly firstOffset: string
}

/** A control record's key: version 0, type 0 (abort). Source: Kafka's message format, "Control Batches". */
const isAbortMarker = ({ isControlRecord, key }: FetchedMessage): boolean =>
  isControlRecord && key !== null && key.length === 4 && key.every((byte) => byte === 0)

const byFirstOffset = (a: AbortedTransaction, b: AbortedTransaction): number =>
  Number(BigInt(a.firstOffset) - BigInt(b.firstOffset))

/** What `read_committed` leaves of a fetch response: all but the records of the transactions that it lists as aborted. */
export const filterAborted = <M extends FetchedMessage>(
  { abortedTransactions, messages }: {
    readonly messages: ReadonlyArray<M>
    readonly abortedTransactions?: ReadonlyArray<AbortedTransaction> | null
  }
): ReadonlyArray<M> => {
  if (abortedTransactions === undefined || abortedTransactions === null || abortedTransactions.length === 0) {
    return messages
  }
  const ahead = abortedTransactions.toSorted(byFirstOffset)
  const aborting = new Set<string>()
  return messages.filter((message) => {
    for (
      let next = ahead[0];
      next !== undefined && BigInt(message.offset) >= BigInt(next.firstOffset);
      next = ahead[0]
    ) {
      aborting.add(String(next.producerId))
      ahead.shift()
    }
    const producerId = String(message.batchContext.producerId)
    if (message.isControlRecord) {
      if (isAbortMarker(message)) aborting.delete(producerId)
      return true
    }
    return !(message.batchContext.inTransaction && aborting.has(producerId))
  })
}
