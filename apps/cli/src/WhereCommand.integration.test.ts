import { assert, layer } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { mappingOutcome, outcomeRecord } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { setOffset } from "@origin-regions/kafka/fixtures/KafkaTampering"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { serveOnLoopback } from "@origin-regions/testkit/LoopbackServer"
import { uniqueGroup, uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, Layer, Result } from "effect"
import { runProgram } from "./fixtures/RunningProgram.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"

const settingsOf = ({ brokers }: KafkaBroker["Service"]) =>
  Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") }))

const Kafka = Layer.unwrap(Effect.map(KafkaBroker, (broker) => {
  const settings = settingsOf(broker)
  return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaProducer.layer(settings))
})).pipe(Layer.provideMerge(KafkaBroker.layer))

const PARTITIONS = 4
const partitionOf = (ip: string) => keyPartition(Buffer.from(`demo-shop/${ip}`), PARTITIONS)
const IP = "2001:db8::1"
/** Another address of the same partition. */
const NEIGHBOUR = Array.from({ length: 100 }, (_, index) => `192.0.2.${index}`)
  .find((ip) => partitionOf(ip) === partitionOf(IP)) ?? assert.fail("none")

const request = (id: string, ip: string) =>
  requestTextRecord(requestText({
    operation: "upsert",
    id,
    source: "/test",
    time: "2026-11-24T12:00:00Z",
    zone: "demo-shop",
    ip,
    vendor: "aws",
    region: "us-east-1",
    expires: undefined
  }))

/** Stands for the HTTP interface of a consumer (docs/console.md) that has one request in hand. */
const standIn = (at: { readonly partition: number; readonly offset: number }) =>
  serveOnLoopback(({ headers, url }, response) => {
    const isAsked = url === `/requests?zone_id=demo-shop&ip=${encodeURIComponent(IP)}`
    response.statusCode = headers.authorization === "Bearer t0ken" && isAsked ? 200 : 400
    const waiting = { state: "waiting", attempt: 4, next_try: 1_795_521_610_000, explanation: "waits for its zone" }
    response.end(JSON.stringify({ requests: [{ ...at, ...waiting }], requests_found: 1 }))
  })

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions where", (it) => {
  it.effect("tells what came of an address' requests, and what waits for what", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      const [topic, outcomes, groupId] = [yield* uniqueTopic, yield* uniqueTopic, yield* uniqueGroup]
      yield* KafkaAdmin.use(({ createTopics }) =>
        createTopics([{ topic, partitions: PARTITIONS }, { topic: outcomes, partitions: PARTITIONS }])
      )
      const { send } = yield* KafkaProducer
      const records = [request("first", IP), request("neighbour", NEIGHBOUR), request("second", IP)]
      yield* send(records.map((record) => ({ topic, record })))
      const partition = partitionOf(IP)
      const answer = outcomeRecord(
        mappingOutcome({
          groupId,
          record: { topic, partition, offset: 0, timestamp: 0 },
          request: readRequest(request("first", IP)),
          settlement: { _tag: "Succeeded", result: "upserted", mapping: null, recovered: false },
          attempts: 1,
          settledAt: 0
        }),
        null
      )
      yield* send([{ topic: outcomes, record: answer }])
      yield* setOffset(settingsOf(broker), { groupId, topic, partition, offset: 1 })

      const environment = {
        KAFKA_BROKERS: broker.brokers.join(","),
        REQUESTS_TOPIC: topic,
        OUTCOMES_TOPIC: outcomes,
        KAFKA_GROUP_ID: groupId,
        HTTP_TOKEN: "t0ken"
      }
      const where = (...args: ReadonlyArray<string>) => runProgram({ args: ["where", ...args], environment })
      const member = yield* standIn({ partition, offset: 2 })
      const found = yield* where("demo-shop", "2001:0DB8::0001", "--json", "--status-url", member)
      assert.deepStrictEqual([found.code, found.stderr], [0, ""])
      const { requests } = JSON.parse(found.stdout)
      assert.lengthOf(requests, 2)
      assert.deepInclude(requests[0], {
        id: "second",
        state: "unanswered",
        partition,
        offset: 2,
        before: 1,
        outcome: null
      })
      assert.deepInclude(requests[0].member, { member: `${member}/`, attempt: 4, explanation: "waits for its zone" })
      assert.deepInclude(requests[1], { id: "first", state: "succeeded", partition, offset: 0 })
      assert.strictEqual(requests[1].outcome.outcomecode, "upserted")

      const byId = yield* where("--id", "neighbour")
      assert.strictEqual(byId.code, 0)
      assert.match(
        byId.stdout,
        /^1 request of the id neighbour since .*\n\nneighbour {2}upsert demo-shop\/192\.0\.2\.\d+ as aws us-east-1 /
      )
      assert.match(
        byId.stdout,
        /\n {2}not answered yet, for .*; it is the first in its partition\n {2}it was not sent to the API yet\n/
      )

      // A member tells why it waits, and another one is away.
      const members = yield* where("demo-shop", IP, "--status-url", `${member},http://127.0.0.1:1`)
      assert.include(members.stdout, `\n  ${member}/ says: waits for its zone\n`)
      assert.match(members.stdout, /\nhttp:\/\/127\.0\.0\.1:1\/ could not be asked: .+\.\n$/)

      // What is done is found again only as far back as is asked for.
      const late = yield* where("demo-shop", IP, "--since", "2126-01-01T00:00:00Z", "--json")
      assert.deepStrictEqual(JSON.parse(late.stdout).requests.map(({ id }: { readonly id: string }) => id), ["second"])
      // A group that there is not.
      const idle = yield* where(`demo-shop/${IP}`, "--group", "nobody")
      assert.strictEqual(idle.code, 0)
      assert.match(idle.stdout, /\n\nThe group nobody has committed nothing for this topic: is --group .* at work\?\n$/)
      assert.notInclude(idle.stdout, "not sent to the API")
      const nowhere = yield* where("demo-shop", "192.0.2.250", "--all-partitions")
      assert.deepStrictEqual([nowhere.code, nowhere.stderr], [1, "Nothing was found.\n"])
    }))

  it.effect("refuses what is no address, before it asks Kafka", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runProgram({ args: ["where", "demo-shop", "192.0.2.0/24"] })
      assert.deepStrictEqual([code, stderr], [2, "\"192.0.2.0/24\" is no IPv4 or IPv6 address.\n"])
      const network = yield* runProgram({ args: ["where", "demo-shop/192.0.2.0/24"] })
      assert.deepStrictEqual(network, { code, stdout: "", stderr })
    }))
})
