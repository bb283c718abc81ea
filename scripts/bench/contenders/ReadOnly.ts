/** A floor: reads the topic with kafkajs, and does nothing with it. What it has read shows in what its group commits. */
import { connect, consumer } from "./Clients.ts"
import * as Settings from "./Settings.ts"

await connect()
await consumer.run({
  partitionsConsumedConcurrently: Settings.partitions(),
  eachBatch: async () => {}
})
