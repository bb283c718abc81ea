/** The first example of kafkajs' documentation: one message of a partition after the other, each with a call and a send. */
import { connect, consumer, producer } from "./Clients.ts"
import { outcomeOf, readRequest } from "./Request.ts"
import * as Settings from "./Settings.ts"
import { upsert } from "./Upsert.ts"

const topic = Settings.outcomesTopic()

await connect()
await consumer.run({
  partitionsConsumedConcurrently: Settings.partitions(),
  eachMessage: async ({ message }) => {
    const request = readRequest(message)
    await producer.send({ topic, messages: [outcomeOf(request, await upsert(request))] })
  }
})
