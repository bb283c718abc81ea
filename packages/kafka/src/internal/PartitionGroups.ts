interface Placement<M> {
  readonly topic: string
  readonly partitionMetadata: ReadonlyArray<unknown>
  readonly message: M
}

/** Messages by their partition, as kafkajs wants them. Its own copies a partition's list for every message in it. */
export const groupByPartition = <M>(
  { messages, partitionMetadata, partitioner, topic }: {
    readonly topic: string
    readonly partitionMetadata: ReadonlyArray<unknown>
    readonly messages: ReadonlyArray<M>
    readonly partitioner: (placement: Placement<M>) => number
  }
): Readonly<Record<number, ReadonlyArray<M>>> => {
  const groups: Record<number, Array<M>> = {}
  if (partitionMetadata.length === 0) return groups
  for (const message of messages) (groups[partitioner({ topic, partitionMetadata, message })] ??= []).push(message)
  return groups
}
