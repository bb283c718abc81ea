import { assert, layer } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import * as ConsumerProcess from "@origin-regions/testkit/Consumer"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { makeKafkaLink } from "@origin-regions/testkit/KafkaLink"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueZoneId } from "@origin-regions/testkit/Names"
import { Context, Effect, Layer } from "effect"
import type { Page } from "playwright-core"
import { describe } from "vitest"
import { type ApiCall, type ApiProxy, failureEnvelope, makeApiProxy } from "./fixtures/ApiProxy.ts"
import { Browser, gone, missingBrowser, seen } from "./fixtures/Browser.ts"
import { statusOf, until } from "./fixtures/RunningConsumer.ts"
import { layerKafka, makeTestTopics, settingsFor } from "./fixtures/TestTopics.ts"
import { upsertOf, upserts } from "./fixtures/Upserts.ts"

const Surroundings = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => layerKafka(brokers))).pipe(
  Layer.provideMerge(Layer.mergeAll(KafkaBroker.layer, Api.layer, Leash.layer, Browser.layer))
)

/** A consumer with the API behind a proxy, and what goes in and comes out of it. */
const setUp = Effect.fnUntraced(function*(more: Readonly<Record<string, string>> = {}) {
  const { brokers } = yield* KafkaBroker
  const api = yield* Api
  const topics = yield* makeTestTopics()
  const proxy = yield* makeApiProxy(api.baseUrl)
  const consumer = yield* ConsumerProcess.start(
    settingsFor(brokers, topics.names, { ...api, baseUrl: proxy.baseUrl }, { API_GENERATION: "1", ...more })
  )
  return { consumer, proxy, topics, address: yield* consumer.address }
})

const look = (address: string, options?: Parameters<Browser["Service"]["open"]>[1]) =>
  Effect.flatMap(Browser, ({ open }) => open(address, options))

const press = (page: { readonly keyboard: { readonly press: (key: string) => Promise<void> } }, key: string) =>
  Effect.promise(() => page.keyboard.press(key))

const find = (page: Page, what: string) =>
  Effect.andThen(Effect.promise(() => page.getByLabel("Where is my request?").fill(what)), press(page, "Enter"))

/** Holds all upserts until they are released. */
const holdPatches = (proxy: ApiProxy) => {
  const held: Array<ApiCall> = []
  proxy.decide = (call) => {
    if (call.method === "PATCH") held.push(call)
    else call.pass()
  }
  return {
    release: () => {
      proxy.decide = (call) => call.pass()
      for (const call of held) call.pass()
    }
  }
}

/** A consumer that works on two requests of one address, of which the first is held at the API until it is released, and its page. */
const holding = Effect.fnUntraced(function*(settings: Readonly<Record<string, string>>) {
  const zoneId = yield* uniqueZoneId
  const { address, consumer, proxy, topics } = yield* setUp(settings)
  const { release } = holdPatches(proxy)
  const { complaints, page } = yield* look(address)
  yield* topics.emit([upsertOf(zoneId, "192.0.2.1", 0), upsertOf(zoneId, "192.0.2.1", 1)])
  return { complaints, consumer, page, release }
})

/** How much of the page what waits takes, in pixels. */
const roomIn = (page: Page) =>
  Effect.map(Effect.promise(() => page.locator(".verdict").boundingBox()), (box) => box?.height ?? 0)

describe.skipIf(missingBrowser !== undefined)(
  `The console in a browser${missingBrowser === undefined ? "" : ` (not here: ${missingBrowser})`}`,
  () => {
    layer(Surroundings, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
      it.effect("says what waits while a zone fails, finds a request in it, and then its outcome, by keyboard alone", () =>
        Effect.gen(function*() {
          const [bad, good] = yield* Effect.all([uniqueZoneId, uniqueZoneId])
          const { address, consumer, proxy, topics } = yield* setUp({ CONCURRENCY: "10" })
          let isDown = true
          proxy.decide = (call) => {
            if (isDown && call.path.includes(bad)) call.answer(503, failureEnvelope(1140, "Internal error."))
            else call.pass()
          }
          const { complaints, page } = yield* look(address)
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
          yield* seen(page.getByText("This member has published no outcome since it started."))
          assert.isBelow(yield* roomIn(page), 50)
          yield* topics.emit([...upserts(bad, 40), ...upserts(good, 3)])
          yield* seen(page.getByRole("heading", { name: "At work, and 40 requests wait" }))
          yield* seen(
            page.getByRole("listitem").filter({
              hasText: new RegExp(
                `^zone ${bad}: paused since .+Internal error.+; 40 requests waiting, next try [0-9:]{8}Z$`
              )
            })
          )
          yield* seen(page.getByRole("region", { name: "Last outcomes" }).getByRole("row").filter({ hasText: good }))

          const room = yield* roomIn(page)
          assert.isAbove(room, 100)

          // The list of what waits comes first, then what asks.
          const focused = page.locator(":focus")
          yield* press(page, "Tab")
          assert.strictEqual(yield* Effect.promise(() => focused.getAttribute("aria-label")), "What waits, and why")
          yield* press(page, "Tab")
          assert.strictEqual(yield* Effect.promise(() => focused.getAttribute("id")), "search")
          const outline = yield* Effect.promise(() =>
            page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
          )
          assert.strictEqual(outline, "solid")
          yield* Effect.promise(() => page.keyboard.type(`${bad}/10.0.0.7`))
          yield* press(page, "Enter")
          yield* seen(page.getByText("1 request without an outcome"))
          const where = page.getByText(
            /^waits for its zone since .+; first in its lane; attempt \d+ comes next, next try [0-9:]{8}Z/
          )
          yield* seen(where)

          isDown = false
          yield* seen(page.getByText("1 outcome", { exact: true }))
          yield* gone(where)
          yield* seen(
            page.getByRole("region", { name: "What was found" }).getByRole("row").filter({ hasText: "upserted" })
          )
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
          assert.strictEqual(yield* roomIn(page), room)
          yield* seen(
            page.getByRole("region", { name: "By code" }).getByRole("row", { name: "upserted" }).filter({
              hasText: "43"
            })
          )
          yield* find(page, "nobody")
          yield* seen(page.getByText("Not here", { exact: true }))
          yield* seen(page.getByText("it is not among the last 43 outcomes of this member"))
          assert.deepStrictEqual([complaints, (yield* statusOf(consumer)).explanation], [[], []])
        }))

      it.effect("says that requests wait for quota, until when, and that they don't any more", () =>
        Effect.gen(function*() {
          const { brokers } = yield* KafkaBroker
          const api = Context.get(
            yield* Layer.build(Layer.fresh(Api.layerWith({
              environment: { API_RATE_LIMIT: "20", API_RATE_LIMIT_WINDOW: "4 seconds" }
            }))),
            Api
          )
          const topics = yield* makeTestTopics()
          const zoneId = yield* uniqueZoneId
          const consumer = yield* ConsumerProcess.start(
            settingsFor(brokers, topics.names, api, { API_GENERATION: "1", API_BATCH_SIZE: "1" })
          )
          const { complaints, page } = yield* look(yield* consumer.address)
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
          yield* topics.emit(upserts(zoneId, 60))
          yield* seen(
            page.getByText(/^\d+ requests? waits? for the API's quota of 20 calls in 4s, .+: next call [0-9:]{8}Z$/)
          )
          yield* seen(page.getByText(/^next call [0-9:]{8}$/))
          yield* topics.outcomes.until(({ length }) => length >= 60)
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
          assert.deepStrictEqual(complaints, [])
        }))

      it.effect("says what is under way, and what comes after it", () =>
        Effect.gen(function*() {
          const { complaints, page, release } = yield* holding({
            // The call is held for as long as it takes to look at the page.
            API_TIMEOUT: "9 minutes",
            DRAIN_TIMEOUT: "10 minutes",
            KAFKA_REBALANCE_TIMEOUT: "11 minutes"
          })
          yield* find(page, "192.0.2.1")
          yield* seen(page.getByText("attempt 1 is under way"))
          yield* seen(page.getByText("queued, 2nd in its lane, as its address has one before it; attempt 1 comes next"))
          release()
          yield* seen(page.getByText("2 outcomes", { exact: true }))
          assert.deepStrictEqual(complaints, [])
        }))

      it.effect("says that it is not at work while Kafka is away, and where requests are meanwhile", () =>
        Effect.gen(function*() {
          const { brokers: [broker = ""] } = yield* KafkaBroker
          const link = yield* makeKafkaLink(broker)
          const { complaints, consumer, page, release } = yield* holding({
            KAFKA_BROKERS: link.address,
            // Until then a rebalance could be why it is not at work.
            KAFKA_REBALANCE_TIMEOUT: "7 seconds",
            DRAIN_TIMEOUT: "6 seconds",
            API_TIMEOUT: "5 seconds"
          })
          yield* until(statusOf(consumer), ({ in_flight }) => in_flight === 1)
          yield* link.set("closed")
          release()
          yield* seen(page.getByRole("heading", { name: "Not at work" }))
          yield* seen(page.getByRole("listitem").filter({ hasText: /^1 outcome waits to be published: / }))
          yield* find(page, "192.0.2.1")
          yield* seen(page.getByText(/^decided: upserted\. Its outcome waits to be published: /))
          yield* link.set("open")
          yield* seen(page.getByText("2 outcomes", { exact: true }))
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
          assert.deepStrictEqual(complaints, [])
        }))

      it.effect("asks for the token, keeps it out of the address, and forgets it", () =>
        Effect.gen(function*() {
          const { address } = yield* setUp({ HTTP_TOKEN: "let-me-in" })
          const { complaints, page } = yield* look(address)
          const token = page.getByLabel("Token")
          yield* seen(token)
          assert.strictEqual(yield* Effect.promise(() => page.locator(":focus").getAttribute("id")), "token")
          yield* Effect.promise(() => page.keyboard.type("wrong"))
          yield* press(page, "Enter")
          yield* seen(page.getByRole("alert").filter({ hasText: "This token was not accepted" }))
          yield* Effect.promise(() => token.fill("let-me-in"))
          yield* press(page, "Enter")
          yield* seen(page.getByRole("heading", { name: "At work" }))
          assert.strictEqual(page.url(), `${address}/`)
          yield* Effect.promise(() => page.reload())
          yield* seen(page.getByRole("heading", { name: "At work" }))
          yield* Effect.promise(() => page.getByRole("button", { name: "Sign out" }).click())
          yield* seen(token)
          assert.strictEqual(yield* Effect.promise(() => page.evaluate("sessionStorage.length")), 0)
          // The refusals.
          for (const complaint of complaints) assert.include(complaint, "401")
        }))

      it.effect("marks what is stale, and goes on by itself", () =>
        Effect.gen(function*() {
          const { address, consumer } = yield* setUp()
          const { page } = yield* look(address)
          yield* seen(page.getByText(/^live · /))
          yield* consumer.pause
          yield* seen(page.getByText(/^stale since [0-9:]{8} UTC · the consumer does not answer, trying again$/))
          assert.match(yield* Effect.promise(() => page.title()), /^stale: /)
          yield* consumer.resume
          yield* seen(page.getByText(/^live · /))
          yield* seen(page.getByRole("heading", { name: "At work, and nothing is held up" }))
        }))

      it.effect("fits on a phone, in the light and in the dark", () =>
        Effect.gen(function*() {
          const zoneId = yield* uniqueZoneId
          const { address, topics } = yield* setUp()
          yield* topics.emit(upserts(zoneId, 300))
          yield* topics.outcomes.until(({ length }) => length >= 300)
          const brightness = new Map<string, number>()
          for (const colorScheme of ["light", "dark"] as const) {
            const { complaints, page } = yield* look(address, { width: 375, colorScheme })
            yield* seen(page.getByRole("row").filter({ hasText: zoneId }))
            yield* find(page, zoneId)
            yield* seen(page.getByText("300 outcomes"))
            yield* seen(page.locator("canvas"))
            const width = yield* Effect.promise(() => page.evaluate("document.documentElement.scrollWidth"))
            const ground = yield* Effect.promise(() => page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert.strictEqual(width, 375)
            assert.isBelow(yield* roomIn(page), 80)
            const isCut =
              "(({ clientWidth, scrollWidth }) => scrollWidth > clientWidth)(document.querySelector('.verdict'))"
            assert.isFalse(yield* Effect.promise(() => page.evaluate(isCut)))
            brightness.set(colorScheme, Number(/\d+/.exec(String(ground))?.[0]))
            assert.deepStrictEqual(complaints, [])
          }
          assert.isAbove(brightness.get("light") ?? 0, 200)
          assert.isBelow(brightness.get("dark") ?? 255, 50)
        }))
    })
  }
)
