import { murmur2 } from "./internal/Partitioner.ts"

/** The partition that our producers and Java clients choose for a key, of so many. */
export const partitionOfKey = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions
