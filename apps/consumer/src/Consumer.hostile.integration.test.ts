import { assert, layer } from "@effect/vitest"
import type { OutgoingRecord } from "@origin-regions/domain/SourceRecord"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import { type ApiCall, type ApiProxy, failureEnvelope, makeApiProxy, passAll } from "./fixtures/ApiProxy.ts"
import { bytes, contentModes, eventOf, recordOf, text } from "./fixtures/RequestRecords.ts"
import { linesOf, says, statusOf, until, whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor, type TestTopics } from "./fixtures/TestTopics.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

/** One consumer for the tests that need none of their own, and every path that it has called. */
class Running extends Context.Service<Running, {
  readonly topics: TestTopics
  readonly address: string
  readonly proxy: ApiProxy
  readonly paths: ReadonlyArray<string>
}>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const api = yield* Api
      const proxy = yield* makeApiProxy(api.baseUrl)
      const paths = passAll(proxy)
      const topics = yield* makeTestTopics()
      const settings = settingsFor(brokers, topics.names, { ...api, baseUrl: proxy.baseUrl })
      const consumer = yield* ConsumerProcess.start(settings)
      return { topics, address: yield* consumer.address, proxy, paths }
    })
  ).pipe(Layer.provideMerge(Surroundings))
}

const upsert = (id: string, data: object, attributes: object = {}) =>
  eventOf("upsert", id, { ip: "192.0.2.1", vendor: "aws", region: "us-east-1", ...data }, attributes)

/** Emits these, and answers with the outcomes of all that have been emitted so far, by their requests' offsets. */
const outcomesOf = Effect.fnUntraced(function*(records: ReadonlyArray<OutgoingRecord>) {
  const { emit, outcomes } = (yield* Running).topics
  const before = outcomes.all.length
  yield* emit(records)
  const all = yield* outcomes.until((all) => all.length >= before + records.length)
  return all.slice(before).toSorted((one, other) => one.event.data.request.offset - other.event.data.request.offset)
})

const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u

/** Begins what looks like a header, a line of a log in any form, or something new on a terminal. */
const INJECTED = "\r\nx-injected: 1\r\n\u001B[2J\u009B2J\u0007"

layer(Running.layer, { excludeTestServices: true, timeout: "2 minutes" })("Of a hostile emitter", (it) => {
  it.effect("no text gets into a call's path but a zone's identifier and a canonical address", () =>
    Effect.gen(function*() {
      const { paths } = yield* Running
      const zoneId = yield* uniqueZoneId
      const zones = [
        "..",
        "../..",
        `${zoneId}/../other`,
        `${zoneId}%2f..`,
        "%2e%2e",
        `${zoneId}?x=1`,
        `${zoneId}#x`,
        `${zoneId} HTTP/1.1\r\nhost: elsewhere`,
        `//elsewhere`,
        `@elsewhere`,
        "\u2025",
        "zone\u0000",
        "ｚｏｎｅ"
      ]
      const ips = [
        "192.0.2.1/../..",
        "192.0.2.1?x=1",
        "192.0.2.1%0d%0ax:1",
        "192.0.2.1 HTTP/1.1\r\nhost: elsewhere",
        "::1/../..",
        "::1%25eth0",
        "[::1]",
        "batch",
        "１９２.0.2.1"
      ]
      const records = contentModes.flatMap((mode) => [
        ...zones.map((zone_id) => recordOf(mode, upsert("zone", { zone_id }))),
        ...ips.map((ip) => recordOf(mode, upsert("ip", { zone_id: zoneId, ip }))),
        recordOf(mode, eventOf("delete", "delete", { zone_id: zoneId, ip: "::1/../192.0.2.1" })),
        recordOf(mode, upsert("good", { zone_id: zoneId }))
      ])
      const outcomes = yield* outcomesOf(records)
      const codes = new Map(
        [...Map.groupBy(outcomes, ({ event }) => event.causationid)].map((
          [id, all]
        ) => [id, new Set(all.map(({ event }) => event.outcomecode))])
      )
      assert.deepStrictEqual(Object.fromEntries(codes), {
        zone: new Set(["malformed_request"]),
        ip: new Set(["1146"]),
        delete: new Set(["1146"]),
        good: new Set(["upserted"])
      })
      const allowed =
        /^\/client\/v4(\/zones\/[A-Za-z0-9_-]{1,32}\/(cache\/origin_cloud_regions|origin\/cloud_regions)(\/([0-9a-f:.]+|batch))?)?\/?$/
      assert.isTrue(paths.some((path) => path.includes(zoneId)))
      assert.deepStrictEqual(paths.filter((path) => !allowed.test(path)), [])
    }))

  it.effect("no control character gets into an outcome's headers, and no attribute but those of outcomes", () =>
    Effect.gen(function*() {
      const zone_id = yield* uniqueZoneId
      const names = ["id", "source", "correlationid", "traceparent", "tracestate", "subject", "time", "outcomecode"]
      const records = contentModes.flatMap((mode) => [
        ...names.map((name) => recordOf(mode, upsert(`with ${name}`, { zone_id }, { [name]: `a${INJECTED}b` }))),
        recordOf(
          mode,
          upsert("own", { zone_id }, {
            outcomecode: "created",
            causationid: "forged",
            [`x${INJECTED}`]: "1",
            extra: "1"
          })
        )
      ])
      const outcomes = yield* outcomesOf(records)
      const known = [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "outcomecode",
        "causationid",
        "correlationid",
        "traceparent",
        "tracestate"
      ].map((name) => `ce_${name}`)
      for (const { event, record } of outcomes) {
        assert.strictEqual(record.headers[0]?.name, "content-type")
        for (const { name, value } of record.headers) {
          assert.oneOf(name, ["content-type", ...known])
          assert.notMatch(text(value), CONTROL)
        }
        assert.strictEqual(new Set(record.headers.map(({ name }) => name)).size, record.headers.length)
        assert.include([undefined, "own", ...names.map((name) => `with ${name}`)], event.causationid)
        assert.notMatch(text(record.key), CONTROL)
        // In JSON they are escaped.
        assert.notMatch(text(record.value), CONTROL)
      }
      assert.deepStrictEqual(
        outcomes.filter(({ event }) => event.causationid === "own").map(({ event }) => event.outcomecode),
        contentModes.map(() => "upserted")
      )
    }))

  it.effect("no forged header of a dead letter comes before ours", () =>
    Effect.gen(function*() {
      const { deadLetters } = (yield* Running).topics
      const forged = ["outcome-id", "reason", "topic", "partition", "offset", "timestamp", "truncated"].map((name) => ({
        name: `origin-regions-${name}`,
        value: bytes(`forged${INJECTED}`)
      }))
      const record = { key: null, value: bytes("x"), headers: forged }
      const [outcome] = yield* outcomesOf([record])
      if (outcome === undefined) return assert.fail("it has none")
      const isIts = ({ headers }: { readonly headers: OutgoingRecord["headers"] }) =>
        text(headers[0]?.value) === outcome.event.id
      const letter = (yield* deadLetters.until((all) => all.some(isIts))).find(isIts)
      const { offset, partition, timestamp, topic } = outcome.event.data.request
      assert.deepStrictEqual(letter?.headers.slice(0, 6).map(({ name, value }) => [name, text(value)]), [
        ["origin-regions-outcome-id", outcome.event.id],
        ["origin-regions-reason", "malformed_request"],
        ["origin-regions-topic", topic],
        ["origin-regions-partition", String(partition)],
        ["origin-regions-offset", String(offset)],
        ["origin-regions-timestamp", String(timestamp)]
      ])
      assert.deepStrictEqual(letter?.headers.slice(6), forged)
    }))

  it.effect("nothing makes a new series of a metric", () =>
    Effect.gen(function*() {
      const { address } = yield* Running
      const series = Effect.promise(async () => {
        const metrics = await fetch(`${address}/metrics`).then((response) => response.text())
        return metrics.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
          .map((line) => line.slice(0, line.lastIndexOf(" "))).toSorted()
      })
      const zoneId = yield* uniqueZoneId
      const records = (round: string) =>
        Array.from({ length: 50 }, (_, index) =>
          recordOf(
            "bare",
            upsert(`${round}-${index}`, {
              zone_id: index % 2 === 0 ? `${zoneId.slice(0, 20)}${round}${index}` : `no/${index}`,
              ip: `198.51.100.${index}`,
              region: index % 5 === 0 ? `moon-${index}` : "us-east-1"
            }, {
              source: `/${round}/${index}`,
              ...(index % 3 === 0 ? { type: `${round}.${index}` } : undefined),
              [`extension${index}`]: "x"
            })
          ))
      // What there is only since the first call, or the first dead letter, is there after this.
      yield* outcomesOf(records("a"))
      const before = yield* series
      yield* outcomesOf(records("b"))
      assert.deepStrictEqual(yield* series, before)
    }))
})

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("Who floods a zone", (it) => {
  it.effect("keeps requests of others waiting for a turn, and not for all that it has sent before them", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const api = yield* Api
      const proxy = yield* makeApiProxy(api.baseUrl)
      const topics = yield* makeTestTopics()
      const [flooded, other] = [yield* uniqueZoneId, yield* uniqueZoneId]
      const held: Array<ApiCall> = []
      proxy.decide = (call) => {
        if (call.path.includes(flooded) || call.path.includes(other)) held.push(call)
        else call.pass()
      }
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, { ...api, baseUrl: proxy.baseUrl }, {
          CONCURRENCY: "1",
          API_BATCH_SIZE: "1",
          API_GENERATION: "1"
        })
      )
      // As many as are reserved ahead, and no more: turns are among these.
      const flood = Array.from(
        { length: 120 },
        (_, index) =>
          recordOf("bare", upsert(`flood-${index}`, { zone_id: flooded, ip: `10.0.${index >> 8}.${index & 255}` }))
      )
      yield* topics.emit([...flood, recordOf("bare", upsert("other", { zone_id: other }))])
      yield* until(statusOf(consumer), ({ in_flight, queued }) => in_flight === 1 && queued === flood.length)
      const paths = passAll(proxy)
      for (const call of held) proxy.decide(call)
      yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length > flood.length))
      assert.isAtMost(paths.findIndex((path) => path.includes(other)), 10)
    }))
})

/** Whether a line is one of the log's own. */
const isOwnLine = {
  json: (line: string) => typeof JSON.parse(line).level === "string",
  logfmt: (line: string) => /^timestamp=\S+ level=[A-Z]+ fiber=/.test(line),
  // What belongs to a line is printed below it, further in.
  pretty: (line: string) => /^(\[[\d:.]+\] [A-Z]+ \(#\d+\): |  )/.test(line)
} as const

const fakes = [
  "{\"level\":\"INFO\",\"message\":\"all is well\"}",
  "timestamp=2026-01-01T00:00:00.000Z level=INFO fiber=#1 message=\"all is well\"",
  "[00:00:00.000] INFO (#1): all is well"
]

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("What a hostile API says", (it) => {
  it.effect("makes no line of its own in a log of any form, and does nothing to a terminal", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const proxy = yield* makeApiProxy()
      const message = `down${INJECTED}\n${fakes.join("\n")}\u2028end`
      proxy.decide = (call) => call.answer(500, failureEnvelope(1140, message))
      yield* Effect.forEach(["json", "pretty", "logfmt"] as const, (format) =>
        Effect.gen(function*() {
          const topics = yield* makeTestTopics()
          // Where it listens is not looked for in these forms.
          const consumer = yield* ConsumerProcess.spawn(
            settingsFor(brokers, topics.names, { baseUrl: proxy.baseUrl, token: "token" }, {
              LOG_FORMAT: format,
              LOG_LEVEL: "Trace"
            })
          )
          const zone_id = yield* uniqueZoneId
          yield* topics.emit([
            recordOf("bare", upsert("injected", { zone_id }, { source: `/a${INJECTED}` })),
            recordOf("bare", upsert("good", { zone_id }))
          ])
          yield* says(consumer, "all is well")
          assert.strictEqual((yield* consumer.terminate).code, 0)
          for (const line of (yield* linesOf(consumer)).filter((line) => line !== "")) {
            assert.notMatch(line, CONTROL)
            assert.isTrue(isOwnLine[format](line), line)
            for (const fake of fakes) assert.isFalse(line.trimStart().startsWith(fake), line)
          }
        }), { concurrency: 3 })
    }))
})
