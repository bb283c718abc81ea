import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import {
  collectedBy,
  type CollectedSpan,
  makeOtlpCollector,
  type OtlpCollector
} from "@origin-regions/testkit/OtlpCollector"
import { Context, Effect, Layer } from "effect"
import { type ApiCall, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { eventOf, recordOf } from "./fixtures/RequestRecords.ts"
import { linesOf, whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { codesOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Leash.layer))
)

/** An API that traces to the same collector. */
const tracingApi = (collector: OtlpCollector, more: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    Layer.build(Layer.fresh(Api.layerWith({ environment: { ...collectedBy(collector), ...more } }))),
    (context) => Context.get(context, Api)
  )

/** An emitter's span: its trace, and itself, told by a number. */
const emitterOf = (number: number, flags = "01") => {
  const traceId = `${"0af7651916cd43dd8448eb211c80".slice(0, 28)}${String(number).padStart(4, "0")}`
  const spanId = `b7ad6b716920${String(number).padStart(4, "0")}`
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

const upsertFrom = (zoneId: string, ip: string, attributes: Readonly<Record<string, string>>) =>
  recordOf(
    "bare",
    eventOf("upsert", ip, { zone_id: zoneId, ip, vendor: "aws", region: "us-east-1" }, attributes),
    `${zoneId}/${ip}`
  )

const CONSUMER = "origin-regions-consumer"
const API = "origin-regions-api"

/** What is below a span, as an indented text. */
const treeOf = (
  spans: ReadonlyArray<CollectedSpan>,
  parentSpanId: string | undefined,
  indent = ""
): ReadonlyArray<string> =>
  spans.flatMap((span) =>
    span.parentSpanId !== parentSpanId ? [] : [
      `${indent}${String(span.service)}: ${span.name} ${
        String(span.attributes["http.response.status_code"] ?? span.attributes["outcomecode"])
      }`,
      ...treeOf(spans, span.spanId, `${indent}  `)
    ]
  )

/** The one span of a kind, by the number that OpenTelemetry has for it, and of an answer. */
const theSpan = (
  spans: ReadonlyArray<CollectedSpan>,
  { kind, status }: { readonly kind: number; readonly status?: number }
): CollectedSpan => {
  const [one, ...others] = spans.filter((span) =>
    span.kind === kind && (status === undefined || span.attributes["http.response.status_code"] === status)
  )
  assert.isEmpty(others)
  assert.isDefined(one)
  return one
}

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The traces of the consumer", (it) => {
  it.effect("lead from the emitter's span to the API's, every attempt included, and only where the emitter records", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const api = yield* tracingApi(collector)
      const proxy = yield* makeApiProxy(api.baseUrl)
      const topics = yield* makeTestTopics()
      const { brokers } = yield* KafkaBroker
      const zoneId = yield* uniqueZoneId
      const recorded = emitterOf(1)
      const unrecorded = emitterOf(2, "00")
      const seen: Array<string> = []
      let failures = 1
      proxy.decide = (call: ApiCall) => {
        seen.push(call.path)
        if (call.path.endsWith("/192.0.2.1") && failures-- > 0) call.answer(503)
        else call.pass()
      }
      const settings = settingsFor(brokers, topics.names, { ...api, baseUrl: proxy.baseUrl }, {
        API_GENERATION: "2",
        ...collectedBy(collector),
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20of-the-collector",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
      })
      const consumer = yield* ConsumerProcess.start(settings)
      yield* topics.emit([
        upsertFrom(zoneId, "192.0.2.1", { traceparent: recorded.traceparent, tracestate: "vendor=1" }),
        upsertFrom(zoneId, "192.0.2.2", { traceparent: unrecorded.traceparent }),
        upsertFrom(zoneId, "192.0.2.3", {})
      ])
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 3))
      yield* consumer.terminate
      yield* api.stop

      // As it came: what others do with the outcome goes on from the emitter's span.
      assert.sameMembers(outcomes.map(({ event }) => event.traceparent), [
        recorded.traceparent,
        unrecorded.traceparent,
        undefined
      ])
      const { spans } = collector
      const ofEmitter = spans.filter(({ traceId }) => traceId === recorded.traceId)
      const call = "PUT /zones/{zone_id}/origin/cloud_regions/{origin_ip}"
      assert.deepStrictEqual(treeOf(ofEmitter, recorded.spanId), [
        `${CONSUMER}: process ${topics.names.requests} upserted`,
        `  ${CONSUMER}: ${call} 503`,
        `  ${CONSUMER}: ${call} 200`,
        `    ${API}: PUT /client/v4/zones/{zone_id}/origin/cloud_regions/{origin_ip} 200`
      ])
      const process = theSpan(ofEmitter, { kind: 5 })
      const failed = theSpan(ofEmitter, { kind: 3, status: 503 })
      const worked = theSpan(ofEmitter, { kind: 3, status: 200 })
      const served = theSpan(ofEmitter, { kind: 2 })
      assert.deepStrictEqual(process.attributes, {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": settings["KAFKA_GROUP_ID"],
        zone_id: zoneId,
        origin_ip: "192.0.2.1",
        operation: "upsert",
        "cloudevents.event_id": "192.0.2.1",
        "cloudevents.event_source": "/test",
        "messaging.destination.name": topics.names.requests,
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.message.id": "192.0.2.1",
        "cloudevents.event_type": "dev.origin-regions.mapping.upsert.v1",
        outcomecode: "upserted",
        // The first may have changed something.
        attempts: 2
      })
      assert.strictEqual(process.traceState, "vendor=1")
      assert.strictEqual(process.resource["deployment.environment.name"], "test")
      assert.isTrue(process.duration >= failed.duration + worked.duration)
      const { hostname, port } = new URL(proxy.baseUrl)
      assert.deepStrictEqual(failed.attributes, {
        "http.request.method": "PUT",
        "url.full": `${proxy.baseUrl}/zones/${zoneId}/origin/cloud_regions/192.0.2.1`,
        "url.template": "/zones/{zone_id}/origin/cloud_regions/{origin_ip}",
        "server.address": hostname,
        "server.port": Number(port),
        "http.response.status_code": 503,
        "error.type": "503"
      })
      assert.strictEqual(failed.status.code, 2)
      assert.strictEqual(worked.attributes["http.request.resend_count"], 1)
      assert.strictEqual(served.traceState, "vendor=1")

      assert.isEmpty(spans.filter(({ traceId }) => traceId === unrecorded.traceId))
      const [root, ...others] = spans.filter((span) => span.kind === 5 && span.parentSpanId === undefined)
      assert.strictEqual(root?.attributes["origin_ip"], "192.0.2.3")
      assert.isEmpty(others)
      // The request that is not recorded has no span at the API either.
      assert.lengthOf(spans.filter(({ service }) => service === API), 2)
      assert.notInclude(JSON.stringify(spans, (_, value: unknown) => typeof value === "bigint" ? 0 : value), api.token)
      const sent = collector.requests.filter(({ headers }) => headers.authorization === "Bearer of-the-collector")
      assert.isNotEmpty(sent)
      assert.deepStrictEqual([...new Set(collector.requests.map(({ path }) => path))], ["/v1/traces"])
      assert.lengthOf(seen.filter((path) => path.endsWith("/192.0.2.2")), 1)
    }))

  it.effect("link a call for many requests with each of them", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      // Where calls are counted they go together.
      const api = yield* tracingApi(collector, { API_RATE_LIMIT: "1200" })
      const topics = yield* makeTestTopics()
      const { brokers } = yield* KafkaBroker
      const zoneId = yield* uniqueZoneId
      const unrecorded = emitterOf(0, "00")
      yield* topics.emit([upsertFrom(zoneId, "192.0.2.254", { traceparent: unrecorded.traceparent })])
      const consumer = yield* ConsumerProcess.start(
        settingsFor(brokers, topics.names, api, { API_GENERATION: "2", ...collectedBy(collector) })
      )
      yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 1))
      const emitters = Array.from({ length: 20 }, (_, index) => emitterOf(index + 1))
      yield* topics.emit(
        emitters.map(({ traceparent }, index) => upsertFrom(zoneId, `192.0.2.${index + 1}`, { traceparent }))
      )
      yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 21))
      yield* consumer.terminate
      yield* api.stop

      const batches = collector.spans.filter(({ kind, links }) => kind === 3 && links.length > 1)
      assert.isNotEmpty(batches)
      for (const batch of batches) {
        assert.isUndefined(batch.parentSpanId)
        const [served, ...others] = collector.spans.filter(({ parentSpanId }) => parentSpanId === batch.spanId)
        assert.strictEqual(served?.service, API)
        assert.isEmpty(others)
        for (const { spanId, traceId } of batch.links) {
          const request = theSpan(collector.spans.filter((span) => span.spanId === spanId), { kind: 5 })
          assert.strictEqual(request.traceId, traceId)
          assert.include(request.links.map((link) => link.spanId), batch.spanId)
          assert.include(emitters.map((emitter) => emitter.spanId), request.parentSpanId)
        }
      }
    }))

  it.effect("are lost where no collector takes them, which is said, and hold nothing up", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const silent = yield* makeOtlpCollector
      silent.answer = () => {}
      const api = yield* tracingApi(collector, { OTEL_TRACES_SAMPLER: "always_off" })
      const { brokers } = yield* KafkaBroker
      yield* Effect.forEach(["http://127.0.0.1:1", silent.endpoint], (endpoint) =>
        Effect.gen(function*() {
          const topics = yield* makeTestTopics()
          const settings = settingsFor(brokers, topics.names, api, collectedBy({ endpoint }))
          const consumer = yield* ConsumerProcess.start(settings)
          yield* topics.emit(upserts(yield* uniqueZoneId, 100))
          const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= 100))
          assert.deepStrictEqual(codesOf(outcomes), { upserted: 100 })
          assert.deepInclude(yield* consumer.terminate, { code: 0 })
          const [lost, ...others] = (yield* linesOf(consumer)).filter((line) => line.includes("Traces are lost"))
          assert.include(lost ?? "", `${endpoint}/v1/traces`)
          assert.isEmpty(others)
        }), { concurrency: 2 })
      yield* api.stop
      assert.isEmpty(collector.requests)
    }))
})
