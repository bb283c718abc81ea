/** Asks for a mapping, waits for what comes of it, and prints that: emit.ts ZONE_ID IP VENDOR REGION */
import { kafkaJs } from "@origin-regions/emitter/KafkaJs"
import { makeEmitter } from "@origin-regions/emitter/PromiseEmitter"
import type { RequestDraft } from "@origin-regions/emitter/RequestDraft"
import { Kafka, logLevel } from "kafkajs"

const [zone_id, ip, vendor, region] = process.argv.slice(2)
const { KAFKA_BROKERS = "localhost:9092", OUTCOMES_TOPIC, REQUESTS_TOPIC } = process.env

// What the service has already.
const kafka = new Kafka({ brokers: KAFKA_BROKERS.split(","), logLevel: logLevel.ERROR })

// The key, Java's partitioner, the id and the time are the emitter's; it has read the outcomes' end before it sends.
await using emitter = makeEmitter({
  source: "/examples/typescript",
  requestsTopic: REQUESTS_TOPIC,
  outcomesTopic: OUTCOMES_TOPIC,
  kafka: kafkaJs(kafka)
})

// What comes from outside is checked by the emitter, whatever its type says.
const draft = { operation: "upsert", zone_id, ip, vendor, region } as RequestDraft
const outcome = await emitter.request(draft, { timeoutMs: 60_000 })
console.log(JSON.stringify(outcome.event))
