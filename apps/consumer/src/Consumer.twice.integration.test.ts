import { assert, layer } from "@effect/vitest"
import { deleteRecordsBefore, openTransaction } from "@origin-regions/kafka/fixtures/KafkaTampering"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer } from "effect"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { eventOf, recordOf } from "./fixtures/RequestRecords.ts"
import { linesOf, statusOf, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import { allCommitted, layerKafka, makeTestTopics, type OutcomeArrival, settingsFor } from "./fixtures/TestTopics.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const aws = { vendor: "aws", region: "us-east-1" }
const gcp = { vendor: "gcp", region: "us-central1" }

/** One line for an outcome: the request's id, what became of it, and whether that was told again. */
const told = ({ event: { causationid, data, outcomecode } }: OutcomeArrival) =>
  `${causationid} ${outcomecode}${"replayed" in data ? " again" : ""}`

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The same request twice", (it) => {
  it.effect.each(["exactly-once", "at-least-once"])(
    "is done once, and told twice, also across a crash (%s)",
    (delivery) =>
      Effect.gen(function*() {
        const api = yield* Api
        const topics = yield* makeTestTopics()
        const zoneId = yield* uniqueZoneId
        const { brokers } = yield* KafkaBroker
        const environment = settingsFor(brokers, topics.names, api, {
          DELIVERY: delivery,
          CONCURRENCY: "1"
        })
        const request = (operation: "create" | "upsert" | "delete", id: string, ip: string, region = {}) =>
          recordOf("bare", eventOf(operation, id, { zone_id: zoneId, ip, ...region }), `${zoneId}/${ip}`)
        const made = [
          request("create", "create", "192.0.2.1", aws),
          request("upsert", "upsert", "192.0.2.2", aws),
          request("create", "late", "192.0.2.2", aws),
          request("delete", "delete", "192.0.2.2")
        ]
        const changed = [
          request("upsert", "change", "192.0.2.1", gcp),
          request("create", "other", "192.0.2.1", aws),
          request("upsert", "anew", "192.0.2.2", gcp)
        ]
        const once = ["create created", "upsert upserted", "late 1145", "delete deleted"]
        const more = ["change upserted", "other 1145", "anew upserted"]
        const again = once.map((line) => `${line} again`)

        const first = yield* ConsumerProcess.start(environment)
        // The second of each comes before the first one is done.
        yield* topics.emit(made.flatMap((each) => [each, each]))
        yield* whileRunning(first)(topics.outcomes.until((all) => all.length === 8))
        yield* topics.emit(changed)
        yield* whileRunning(first)(topics.outcomes.until((all) => all.length === 11))
        yield* topics.emit(made)
        const before = yield* whileRunning(first)(topics.outcomes.until((all) => all.length === 15))
        assert.sameMembers(before.map(told), [...once, ...again, ...more, ...again])
        const isCommitted = whileRunning(first)(allCommitted(topics, environment["KAFKA_GROUP_ID"] ?? ""))
        yield* isCommitted
        // From here on nothing can be read of the outcomes, until it has ended.
        const kafka = { brokers, tls: undefined, sasl: undefined }
        const opened = yield* Effect.forEach(
          [0, 1],
          (partition) => openTransaction(kafka, { topic: topics.names.outcomes, partition })
        )
        const behind = request("upsert", "behind", "192.0.2.3", aws)
        yield* topics.emit([behind])
        yield* isCommitted
        yield* first.kill
        // Some of what would be read again for the memory's sake is no longer there.
        yield* deleteRecordsBefore(kafka, { topic: topics.names.requests, partition: 0, offset: 3 })

        // Behind the one that waits for that all others go on, with the one call that there is.
        const second = yield* ConsumerProcess.start(environment)
        yield* topics.emit([behind, ...made, request("create", "create", "192.0.2.1", gcp)])
        yield* until(
          whileRunning(second)(statusOf(second)),
          ({ explanation: [line = ""], partitions: [partition] }) =>
            partition?.undone === 1 && partition.position === 22 &&
            line.includes("1 waiting since") && line.includes("a transaction is open on partition 0 from offset")
        )
        yield* Effect.forEach(opened, ({ abort }) => abort)
        const all = yield* whileRunning(second)(topics.outcomes.until((all) => all.length >= 22))
        assert.sameMembers(
          all.slice(15).map(told),
          ["behind upserted", ...again, "create 1145", "behind upserted again"]
        )

        // What it was told the first time, but for whose outcome it is.
        const firstTime = new Map(
          all.filter((each) => !told(each).endsWith("again")).map((each) => [told(each), each])
        )
        for (const each of all.filter((each) => told(each).endsWith("again"))) {
          const { attempts, replayed, request: reference, ...data } = { replayed: false, ...each.event.data }
          assert.deepStrictEqual([attempts, replayed], [0, true])
          const { attempts: _, request: __, ...same } = firstTime.get(told(each).replace(" again", ""))?.event.data ??
            assert.fail("it has none")
          assert.deepStrictEqual(data, same)
          assert.strictEqual(reference.offset, Number(each.request.split("@")[1]))
        }
        assert.strictEqual(new Set(all.map(({ event }) => event.id)).size, 22)
        yield* second.terminate
        assert.notMatch((yield* linesOf(second)).join("\n"), /lost its end|are lost/)
        const changes = yield* changesOf(api, zoneId)
        assert.lengthOf(changes, 6)
        assert.deepInclude(changes.findLast(({ origin_ip }) => origin_ip === "192.0.2.2")?.after, gcp)
      })
  )
})
