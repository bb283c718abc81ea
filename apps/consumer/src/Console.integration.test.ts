import { assert, layer } from "@effect/vitest"
import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer } from "effect"
import type { ConsoleAnswer, ConsoleOutcome, ConsoleSnapshot } from "./Console/ConsoleMessages.ts"
import { statusOf, until } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { upsertOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const get = (address: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.promise(() => fetch(address, { headers }))

const json = <A>(address: string) =>
  Effect.flatMap(get(address), (response) => Effect.promise(() => response.json() as Promise<A>))

/** The events that come until this is so. */
const eventsUntil = (address: string, isEnough: (event: ConsoleSnapshot) => boolean) =>
  Effect.promise(async (abort) => {
    const response = await fetch(`${address}/events`, { signal: abort })
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
    const events: Array<ConsoleSnapshot> = []
    let text = ""
    for await (const chunk of (response.body ?? assert.fail("it is empty")).pipeThrough(new TextDecoderStream())) {
      const parts = (text + chunk).split("\n\n")
      text = parts.pop() ?? ""
      for (const part of parts) {
        const event = JSON.parse(part.replace(/^data: /, "")) as ConsoleSnapshot
        events.push(event)
        if (isEnough(event)) return events
      }
    }
    return assert.fail("the stream has ended")
  })

const start = Effect.fnUntraced(function*(partitions: number, more: Readonly<Record<string, string>> = {}) {
  const { brokers } = yield* KafkaBroker
  const topics = yield* makeTestTopics(partitions)
  const settings = settingsFor(brokers, topics.names, yield* Api, more)
  const consumer = yield* ConsumerProcess.start(settings)
  return { settings, topics, consumer, address: yield* consumer.address }
})

const sum = (counts: ReadonlyArray<number>) => counts.reduce((one, other) => one + other, 0)

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The console", (it) => {
  it.effect("serves its page to everybody, guarded, and what the page shows to who has the token", () =>
    Effect.gen(function*() {
      const { address } = yield* start(1, { HTTP_TOKEN: "let-me-in" })
      const page = yield* get(`${address}/`)
      const text = yield* Effect.promise(() => page.text())
      assert.strictEqual(page.status, 200)
      assert.include(page.headers.get("content-security-policy") ?? "", "default-src 'none'; script-src 'self'")
      assert.notInclude(page.headers.get("content-security-policy") ?? "", "unsafe")
      assert.strictEqual((yield* get(`${address}/`, { "if-none-match": page.headers.get("etag") ?? "" })).status, 304)
      const assets = [...text.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path]) => path)
      assert.isAtLeast(assets.length, 3)
      for (const path of assets) {
        const asset = yield* get(`${address}/${path}`)
        assert.strictEqual(asset.status, 200)
        assert.include(asset.headers.get("cache-control") ?? "", "immutable")
        assert.match(asset.headers.get("content-type") ?? "", /^(text\/(css|javascript)|image\/svg)/)
      }
      // Nothing from elsewhere, and nothing inline.
      assert.notMatch(text, /(src|href)="(https?:)?\/\/|<style|<script(?![^>]*src=)/)
      for (const path of ["events", "requests?id=a", "outcomes"]) {
        assert.strictEqual((yield* get(`${address}/${path}`)).status, 401)
        const response = yield* get(`${address}/${path}`, { authorization: "Bearer let-me-in" })
        assert.deepStrictEqual([response.status, response.headers.get("cache-control")], [200, "no-store"])
        yield* Effect.promise(() => response.body?.cancel() ?? Promise.resolve())
      }
    }))

  it.effect("tells what was published as events, outcomes and answers, and what is wrong with a question", () =>
    Effect.gen(function*() {
      const { address, topics } = yield* start(2, { DELIVERY: "at-least-once" })
      const zoneId = yield* uniqueZoneId
      yield* topics.emit(upserts(zoneId, 30))
      const events = yield* eventsUntil(address, ({ totals }) => sum(totals.window) === 30)
      const last = events.at(-1) ?? assert.fail("there is none")
      assert.deepInclude(last.member, { ready: true, topic: topics.names.requests })
      assert.strictEqual(last.totals.window[last.codes.indexOf("upserted")], 30)
      assert.isAbove(last.p50 ?? 0, 0)
      assert.deepStrictEqual(last.partitions.map(({ partition }) => partition), [0, 1])
      assert.isAtMost(events.findLast((event) => event.outcomes !== undefined)?.outcomes?.length ?? 0, 20)
      // To who comes later, all is told at once.
      const [first] = yield* eventsUntil(address, () => true)
      assert.deepInclude(first?.outcomes?.[0], { code: "upserted", kind: "succeeded", zone_id: zoneId, attempts: 1 })

      const { outcomes } = yield* json<{ readonly outcomes: ReadonlyArray<ConsoleOutcome> }>(
        `${address}/outcomes?limit=5`
      )
      assert.lengthOf(outcomes, 5)
      const ofAddress = yield* json<ConsoleAnswer>(`${address}/requests?zone_id=${zoneId}&ip=10.0.0.7`)
      assert.deepInclude(ofAddress.outcomes[0], {
        id: "10.0.0.7-0",
        ip: "10.0.0.7",
        source: "/test",
        operation: "upsert"
      })
      assert.deepInclude(ofAddress, { requests: [], requests_found: 0, outcomes_found: 1, explanation: [] })
      assert.strictEqual((yield* json<ConsoleAnswer>(`${address}/requests?id=10.0.0.7-0`)).outcomes_found, 1)
      assert.strictEqual((yield* json<ConsoleAnswer>(`${address}/requests?text=${zoneId}`)).outcomes_found, 30)

      for (const path of ["requests", "requests?ip=300.1.1.1", "outcomes?limit=0", "outcomes?limit=many"]) {
        const response = yield* get(`${address}/${path}`)
        assert.strictEqual(response.status, 400)
        assert.match(yield* Effect.promise(() => response.text()), /^\{"error":".+expected/)
      }
    }))

  it.effect("says that another member has a request's partition", () =>
    Effect.gen(function*() {
      const { address, consumer, settings } = yield* start(2)
      const other = yield* ConsumerProcess.start(settings)
      const members = [consumer, other]
      for (const member of members) yield* until(statusOf(member), ({ partitions }) => partitions.length === 1)
      const zoneId = yield* uniqueZoneId
      const number = keyPartition(new TextEncoder().encode(`${zoneId}/192.0.2.1`), 2)
      // Where the partitions end is asked every few seconds.
      const ask = (of: string) => json<ConsoleAnswer>(`${of}/requests?zone_id=${zoneId}&ip=192.0.2.1`)
      const answers = yield* Effect.forEach([address, yield* other.address], (of) =>
        until(ask(of), ({ partition }) => partition !== null))
      assert.deepStrictEqual(
        answers.map(({ partition }) =>
          partition?.number
        ),
        [number, number]
      )
      const [ours = "", theirs = ""] = answers.toSorted((one) => one.partition?.is_ours === true ? -1 : 1).map(
        ({ explanation }) => explanation[0]
      )
      assert.match(ours, /, which this member has, and where it does not wait$/)
      assert.match(theirs, /, which another member has: ask there\. This member's partitions: \d$/)
    }))

  it.effect("holds up no stop, whoever listens", () =>
    Effect.gen(function*() {
      const { address, consumer, topics } = yield* start(1)
      const response = yield* get(`${address}/events`)
      const reader = (response.body ?? assert.fail("it is empty")).getReader()
      yield* Effect.promise(() => reader.read())
      yield* topics.emit([upsertOf(yield* uniqueZoneId, "192.0.2.1", 0)])
      yield* topics.outcomes.until(({ length }) => length === 1)
      yield* consumer.terminate
      assert.deepInclude(yield* consumer.exit, { code: 0 })
      yield* Effect.promise(() => reader.cancel().catch(() => {}))
    }))
})
