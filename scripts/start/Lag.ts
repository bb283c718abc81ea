/** Requests of a topic that a group has not answered yet, by what it has committed. `committed` lacks partitions without a commit. */
export const lagOf = (
  offsets: {
    readonly beginning: ReadonlyMap<number, number>
    readonly end: ReadonlyMap<number, number>
    readonly committed: ReadonlyMap<number, { readonly offset: number }>
  }
): number => {
  let lag = 0
  for (const [partition, end] of offsets.end) {
    const next = offsets.committed.get(partition)?.offset ?? offsets.beginning.get(partition) ?? 0
    lag += Math.max(0, end - next)
  }
  return lag
}
