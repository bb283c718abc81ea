import { assert, layer } from "@effect/vitest"
import type { MappingOutcome } from "@origin-regions/domain/MappingOutcome"
import type { OutgoingRecord, SourceRecord } from "@origin-regions/domain/SourceRecord"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeApiProxy, passAll } from "./fixtures/ApiProxy.ts"
import { changesOf } from "./fixtures/ApiRecords.ts"
import { contentModes, eventOf, recordOf, text } from "./fixtures/RequestRecords.ts"
import { says, whileRunning } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer))
)

const fileOf = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "allow-rules-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
).pipe(Effect.map((directory) => join(directory, "allow.json")))

const refusal = (zoneId: string, source: string) => ({
  path: "data.zone_id",
  message: `zone ${zoneId} may not be changed by source ${source}: no allow rule of the consumer says that it may`
})

const issuesOf = ({ data }: MappingOutcome) => "error" in data && "issues" in data.error ? data.error.issues : undefined

const ADDED_HEADERS = 6

/** That of the request. */
const offsetOf = ({ headers }: SourceRecord) => Number(text(headers[4]?.value))

/** The record that it was made of. */
const bare = ({ headers, key, value }: SourceRecord): OutgoingRecord => ({
  key,
  value,
  headers: headers.slice(ADDED_HEADERS)
})

layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })("The consumer with allow rules", (it) => {
  it.effect("calls the API for what they allow alone, and applies the rest once they allow it", () =>
    Effect.gen(function*() {
      const { brokers } = yield* KafkaBroker
      const api = yield* Api
      const proxy = yield* makeApiProxy(api.baseUrl)
      const paths = passAll(proxy)
      const topics = yield* makeTestTopics()
      const [shop, blog, nobodys] = [yield* uniqueZoneId, yield* uniqueZoneId, yield* uniqueZoneId]
      const file = yield* fileOf
      const allow = (...rules: ReadonlyArray<object>) => writeFileSync(file, JSON.stringify({ allow: rules }))
      const settings = settingsFor(brokers, topics.names, { ...api, baseUrl: proxy.baseUrl }, {
        ALLOW_RULES_FILE: file
      })

      allow({ source: "/shop", zones: [shop] }, { source: "/teams/blog/*", zones: [`${blog.slice(0, -1)}*`] })
      const consumer = yield* ConsumerProcess.start(settings)
      yield* says(consumer, "Applying only what 2 allow rules let through")
      let count = 0
      const create = (source: string, zone_id: string, attributes: object = {}) =>
        eventOf("create", `id-${count}`, {
          zone_id,
          ip: `192.0.2.${++count}`,
          vendor: "aws",
          region: "us-east-1"
        }, { source, ...attributes })
      const cases = contentModes.flatMap((mode) =>
        [
          { event: create("/shop", shop), issues: undefined },
          { event: create("/teams/blog/ci", blog), issues: undefined },
          { event: create("/shop", blog), issues: [refusal(blog, "/shop")] },
          { event: create("/shop", nobodys), issues: [refusal(nobodys, "/shop")] },
          { event: create("/teams/blog", blog), issues: [refusal(blog, "/teams/blog")] },
          {
            event: create("/nobody", shop, { expirytime: "2020-01-01T00:00:00Z" }),
            issues: [refusal(shop, "/nobody")]
          },
          {
            event: create("/nobody", shop, { specversion: "2.0" }),
            issues: [{ path: "specversion", message: "specversion must be \"1.0\"" }, refusal(shop, "/nobody")]
          }
        ].map((each) => ({ ...each, record: recordOf(mode, each.event, "the request's own key") }))
      )
      yield* topics.emit(cases.map(({ record }) => record))
      const outcomes = yield* whileRunning(consumer)(topics.outcomes.until((all) => all.length >= cases.length))
      const outcomeOf = (id: unknown) => outcomes.find(({ event }) => event.causationid === id)?.event
      for (const { event, issues } of cases) {
        const outcome = outcomeOf(event["id"])
        if (outcome === undefined) return assert.fail("it has none")
        assert.strictEqual(outcome.outcomecode, issues === undefined ? "created" : "malformed_request")
        assert.deepStrictEqual(issuesOf(outcome), issues)
        if (issues !== undefined) assert.deepInclude(outcome.data, { attempts: 0, operation: "create" })
      }

      // What came of each, by the API's own word and by what it was asked.
      const applied = cases.filter(({ issues }) => issues === undefined)
      const made = [...yield* changesOf(api, shop), ...yield* changesOf(api, blog)]
      assert.sameMembers(
        made.map(({ origin_ip }) => origin_ip),
        applied.map(({ event }) => Reflect.get(Object(event["data"]), "ip"))
      )

      assert.isNotEmpty(paths)
      assert.deepStrictEqual(paths.filter((path) => path.includes(nobodys)), [])

      const refused = cases.filter(({ issues }) => issues !== undefined)
      const letters = (yield* topics.deadLetters.until((all) => all.length >= refused.length))
        .toSorted((one, other) => offsetOf(one) - offsetOf(other))
      assert.deepStrictEqual(letters.map(bare), refused.map(({ record }) => record))
      for (const { headers } of letters) assert.strictEqual(text(headers[1]?.value), "malformed_request")
      assert.deepStrictEqual(yield* consumer.terminate, { code: 0, signal: undefined })

      // The rules mended, and a member that has read them.
      allow({ source: "*", zones: [shop, blog] })
      const next = yield* ConsumerProcess.start(settings)
      const again = letters.filter(({ value }) => text(value).includes("\"/teams/blog\"")).map(bare)
      assert.isNotEmpty(again)
      yield* topics.emit(again)
      const later = yield* whileRunning(next)(
        topics.outcomes.until((all) => all.length >= cases.length + again.length)
      )
      assert.deepStrictEqual(
        later.slice(cases.length).map(({ event }) => event.outcomecode),
        again.map(() => "created")
      )
      assert.deepStrictEqual(yield* next.terminate, { code: 0, signal: undefined })
    }))
})
