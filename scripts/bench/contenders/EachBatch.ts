/** What one finds for more speed: all messages of a batch at once, limited by p-limit, and their outcomes in one send. No order within a key. */
import pLimit from "p-limit"
import { connect, consumer, producer } from "./Clients.ts"
import { outcomeOf, readRequest } from "./Request.ts"
import * as Settings from "./Settings.ts"
import { upsert } from "./Upsert.ts"

const topic = Settings.outcomesTopic()
const limit = pLimit(Settings.concurrency())

await connect()
await consumer.run({
  partitionsConsumedConcurrently: Settings.partitions(),
  eachBatch: async ({ batch }) => {
    const requests = batch.messages.map(readRequest)
    const answers = await Promise.all(requests.map((request) => limit(upsert, request)))
    const messages = answers.flatMap((answer, index) => {
      const request = requests[index]
      return request === undefined ? [] : [outcomeOf(request, answer)]
    })
    await producer.sendBatch({ topicMessages: [{ topic, messages }] })
  }
})
