import { keyPartition } from "@origin-regions/domain/KeyPartition"
import type { ICustomPartitioner } from "kafkajs"

/**
 * The partition that Java clients choose for a key. kafkajs' own never cuts its numbers to 32 bits: they grow with the key, and one of 900 KB keeps a
 * processor busy for minutes.
 */
export const javaCompatible: ICustomPartitioner = () => ({ message, partitionMetadata }) => {
  if (message.partition !== undefined) return message.partition
  const key = typeof message.key === "string" ? Buffer.from(message.key) : message.key
  // Records without a key are given their partition by whoever sends them.
  return key === null || key === undefined ? 0 : keyPartition(key, partitionMetadata.length)
}
