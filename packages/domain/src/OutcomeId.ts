import { parse, v5 } from "uuid"
import type { SourceRecord } from "./SourceRecord.ts"

/** The namespace of outcome ids (RFC 9562, section 6.6). Published, so that anybody can compute the id of the outcome they wait for. */
export const OUTCOME_NAMESPACE = "761a9acd-b382-44b7-b328-560ad13de763"

const encoder = new TextEncoder()
const namespace = parse(OUTCOME_NAMESPACE)

/**
 * The id of a request record's outcome: UUIDv5 over the JSON array `[topic, partition, offset, source, id]`, with `null` for what could not be read.
 * It is the same however often the record is processed.
 */
export const outcomeId = (
  record: Pick<SourceRecord, "topic" | "partition" | "offset">,
  source: string | null,
  id: string | null
): string => v5(encoder.encode(JSON.stringify([record.topic, record.partition, record.offset, source, id])), namespace)
