import { assert, layer } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { readOutcome } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer, Option, Result, Stream } from "effect"
import { examplePrograms } from "./ExamplePrograms.ts"
import { SnippetSystem } from "./SnippetSystem.ts"

/** Addresses in the spellings that each example has to bring into one; what has no library for that takes the canonical one. */
const addresses: Readonly<Record<string, { readonly given: string; readonly canonical: string }>> = {
  typescript: { given: "2001:DB8:0:0::10", canonical: "2001:db8::10" },
  python: { given: "::FFFF:C000:0207", canonical: "::ffff:192.0.2.7" },
  java: { given: "2001:db8::12", canonical: "2001:db8::12" },
  go: { given: "::FFFF:C000:0208", canonical: "::ffff:192.0.2.8" },
  shell: { given: "192.0.2.14", canonical: "192.0.2.14" }
}

const decoder = new TextDecoder()

/** The request of that id as it is in its topic, and what partitions that has. */
const requestOf = (id: string, topic: string, brokers: string) =>
  Effect.gen(function*() {
    const partitions = yield* KafkaAdmin.use(({ partitionCount }) => partitionCount(topic))
    const reader = yield* KafkaTopicReader
    const record = yield* reader.read({ topic, from: "beginning" }).pipe(
      Stream.filter((record) => readRequest(record).event.id === id),
      Stream.runHead
    )
    return { record: Option.getOrThrow(record), partitions }
  }).pipe(Effect.provide(Layer.unwrap(Effect.sync(() => {
    const settings = Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers }))
    return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaTopicReader.layer(settings))
  }))))

const system = SnippetSystem.layer.pipe(Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Leash.layer)))

layer(system, { excludeTestServices: true, timeout: "2 minutes" })("An example of emitting", (it) => {
  for (const { language, missing, prepare } of examplePrograms) {
    const title = `in ${language} gets its outcome, from the partition that Java chooses`
    it.effect.skipIf(missing !== undefined)(
      missing === undefined ? title : `${title} (skipped: ${missing})`,
      () =>
        Effect.gen(function*() {
          const { environment } = yield* Effect.flatMap(SnippetSystem, ({ started }) => started)
          const { canonical, given } = addresses[language] ?? assert.fail(language)
          const zoneId = yield* uniqueZoneId
          const run = yield* prepare
          const said = yield* run(environment, [zoneId, given, "aws", "us-east-1"])
          // Clients may say something of their own around it.
          const printed = said.split("\n").find((line) => line.startsWith("{")) ?? ""
          const outcome = Option.getOrElse(readOutcome(printed), () => assert.fail(said))
          assert.strictEqual(outcome.outcomecode, "upserted", said)
          assert.strictEqual(outcome.subject, `${zoneId}/${canonical}`)
          assert.strictEqual(outcome.data.request.source, `/examples/${language}`)
          const { partitions, record } = yield* requestOf(
            outcome.causationid ?? "",
            environment["REQUESTS_TOPIC"] ?? "",
            environment["KAFKA_BROKERS"] ?? ""
          )
          assert.isAbove(partitions, 1)
          assert.strictEqual(decoder.decode(record.key ?? undefined), `${zoneId}/${canonical}`)
          assert.strictEqual(record.partition, keyPartition(record.key ?? new Uint8Array(), partitions))
        }),
      { timeout: 600_000 }
    )
  }
})
