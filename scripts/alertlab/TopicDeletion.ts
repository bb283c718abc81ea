import { Effect } from "effect"
// oxlint-disable-next-line eslint/no-restricted-imports -- no program of ours deletes a topic
import { Kafka, logLevel } from "kafkajs"

/** Deletes a topic, as a person would by mistake. */
export const deleteTopic = (brokers: ReadonlyArray<string>, topic: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
  })
