const SEED = 0x9747b28c | 0
const MULTIPLIER = 0x5bd1e995
const SHIFT = 24

/** A key's hash, as Java clients make it. Source: murmur2 in Kafka's `org.apache.kafka.common.utils.Utils`. */
export const murmur2 = (key: Uint8Array): number => {
  const at = (index: number): number => key[index] ?? 0
  const words = key.length - key.length % 4
  let hash = SEED ^ key.length
  for (let index = 0; index < words; index += 4) {
    const word = at(index) | at(index + 1) << 8 | at(index + 2) << 16 | at(index + 3) << 24
    const mixed = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(mixed ^ (mixed >>> SHIFT), MULTIPLIER)
  }
  if (words < key.length) {
    for (let index = words; index < key.length; index++) hash ^= at(index) << (8 * (index - words))
    hash = Math.imul(hash, MULTIPLIER)
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/** The partition that Java clients choose for a key, of so many. All emitters must choose the same: requests of one address are in order only within one partition. */
export const keyPartition = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions
