import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { int32, type KafkaAddress, request } from "./internal/KafkaRequest.ts"
import { KafkaBroker } from "./KafkaBroker.ts"
import { makeKafkaLink } from "./KafkaLink.ts"
import { addressBytes } from "./KafkaMessages.ts"

/** The answer to Metadata, version 1, about no topic. */
const metadata = (address: string) => {
  const [host = "", port] = address.split(":")
  return request({ host, port: Number(port) } satisfies KafkaAddress, { apiKey: 3, apiVersion: 1, body: int32(0) })
}

layer(KafkaBroker.layer, { excludeTestServices: true, timeout: "2 minutes" })("A link to Kafka", (it) => {
  it.effect("tells its own address for the broker's", () =>
    Effect.gen(function*() {
      const [broker = ""] = (yield* KafkaBroker).brokers
      const link = yield* makeKafkaLink(broker)
      const [direct, linked] = [yield* metadata(broker), yield* metadata(link.address)]
      assert.isTrue(direct.includes(addressBytes(broker)))
      assert.isFalse(linked.includes(addressBytes(broker)))
      assert.isTrue(linked.includes(addressBytes(link.address)))
    }))
})
