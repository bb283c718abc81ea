import { murmur2 } from "./internal/Murmur2.ts"

/** The partition of so many that a record with this key is in, if a Java client wrote it, or one of ours. */
export const keyPartition = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions
