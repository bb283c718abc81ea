import { Kafka, logLevel, Partitioners } from "kafkajs"
import * as Settings from "./Settings.ts"

const kafka = new Kafka({ clientId: "bench", brokers: Settings.brokers(), logLevel: logLevel.ERROR })

/** Fetches as much at once as our consumer does. */
export const consumer = kafka.consumer({
  groupId: Settings.groupId(),
  maxWaitTimeInMs: 200,
  maxBytesPerPartition: 64 * 1024,
  maxBytes: 1024 * 1024
})

export const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })

export const connect = async () => {
  await Promise.all([consumer.connect(), producer.connect()])
  await consumer.subscribe({ topic: Settings.requestsTopic(), fromBeginning: true })
}
