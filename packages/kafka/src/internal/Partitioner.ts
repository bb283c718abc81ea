import type { ICustomPartitioner } from "kafkajs"

const SEED = 0x9747b28c | 0
const MULTIPLIER = 0x5bd1e995
const SHIFT = 24

/** A key's hash, as Java clients make it. Source: murmur2 in Kafka's `org.apache.kafka.common.utils.Utils`. */
export const murmur2 = (key: Uint8Array): number => {
  const words = key.length - key.length % 4
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  let hash = SEED ^ key.length
  for (let index = 0; index < words; index += 4) {
    let word = Math.imul(view.getInt32(index, true), MULTIPLIER)
    word = Math.imul(word ^ (word >>> SHIFT), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  const rest = key.subarray(words)
  if (rest.length > 0) {
    for (const [index, byte] of rest.entries()) hash ^= byte << (8 * index)
    hash = Math.imul(hash, MULTIPLIER)
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/**
 * The partition that Java clients choose for a key. kafkajs' own never cuts its numbers to 32 bits: they grow with the key, and one of 900 KB keeps a
 * processor busy for minutes.
 */
export const javaCompatible: ICustomPartitioner = () => ({ message, partitionMetadata }) => {
  if (message.partition !== undefined) return message.partition
  const key = typeof message.key === "string" ? Buffer.from(message.key) : message.key
  // Records without a key are given their partition by whoever sends them.
  return key === null || key === undefined ? 0 : (murmur2(key) & 0x7fffffff) % partitionMetadata.length
}
