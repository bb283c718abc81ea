import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { auditOf, call, newZoneId, onFile, resultOf } from "./fixtures/TestServer.ts"
import { Deleted, type Entry, EntryPage, OneEntry } from "./Generation2.ts"

interface Configuration {
  readonly origin_ip: string
  readonly vendor: string
  readonly region: string
}

interface State extends Configuration {
  readonly modified_on: string
}

const plan = (wanted: Configuration, state: State | undefined) => {
  if (state === undefined) return "create"
  if (state.origin_ip !== wanted.origin_ip) return "replace"
  return state.region === wanted.region && state.vendor === wanted.vendor ? "nothing" : "update"
}

/** The calls of Cloudflare's Terraform provider 5.22.0 for its resource `cloudflare_origin_cloud_region`, and what it makes of the answers. */
const resourceOf = (zone: string) => {
  const collection = `/client/v4/zones/${zone}/origin/cloud_regions`
  const headers = { authorization: "Bearer t0ken", "content-type": "application/json" }
  const at = (origin_ip: string) => `${collection}/${origin_ip}`

  // What was planned stays; only what was not known comes from the answer.
  const put = ({ origin_ip, region, vendor }: Configuration) =>
    Effect.map(
      call({ method: "PUT", path: at(origin_ip), headers, body: { origin_ip, region, vendor } }),
      (answer) => ({ origin_ip, region, vendor, modified_on: resultOf(OneEntry, answer).modified_on })
    )

  /** Whatever the answer says is the state; 404 is the end of it. */
  const read = (origin_ip: string) =>
    Effect.map(
      call({ path: at(origin_ip), headers }),
      (answer): State | undefined => answer.status === 404 ? undefined : resultOf(OneEntry, answer)
    )

  const remove = (origin_ip: string) =>
    Effect.map(call({ method: "DELETE", path: at(origin_ip), headers }), (answer) => resultOf(Deleted, answer))

  return {
    collection,
    read,
    remove,
    /** Refreshes, plans and does what was planned; gives the plan and the state after it. */
    apply: Effect.fnUntraced(function*(wanted: Configuration, before: State | undefined) {
      const refreshed = before === undefined ? undefined : yield* read(before.origin_ip)
      const planned = plan(wanted, refreshed)
      if (planned === "nothing") return { planned, state: refreshed }
      if (planned === "replace" && refreshed !== undefined) yield* remove(refreshed.origin_ip)
      return { planned, state: yield* put(wanted) }
    }),
    /** The data source asks on until a page is empty, or it has enough. */
    list: Effect.fnUntraced(function*(maxItems: number) {
      const all: Array<typeof Entry.Type> = []
      for (let page = 1;; page++) {
        const path = page === 1 ? collection : `${collection}?page=${page}`
        const answer = yield* call({ path, headers })
        const { result } = Schema.decodeUnknownSync(EntryPage)(answer.body)
        all.push(...result)
        if (result.length === 0 || all.length >= maxItems) return all.slice(0, maxItems)
      }
    })
  }
}

const newResource = Effect.map(newZoneId, (zone) => ({ zone, ...resourceOf(zone) }))

const operations = (zone: string) =>
  Effect.map(
    call({ path: `/audit?zone=${zone}` }),
    (answer) => auditOf(answer).map(({ operation, origin_ip }) => `${operation} ${origin_ip}`)
  )

const configuration: Configuration = { origin_ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }

layer(onFile(), { excludeTestServices: true })("Cloudflare's Terraform provider", (it) => {
  it.effect("creates, has nothing more to do, updates in place, and replaces for another address", () =>
    Effect.gen(function*() {
      const { apply, read, remove, zone } = yield* newResource
      const created = yield* apply(configuration, undefined)
      assert.strictEqual(created.planned, "create")
      assert.match(created.state?.modified_on ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u)
      const again = yield* apply(configuration, created.state)
      assert.deepStrictEqual(again, { planned: "nothing", state: created.state })
      const moved = { ...configuration, region: "us-west-2" }
      const updated = yield* apply(moved, again.state)
      assert.strictEqual(updated.planned, "update")
      const elsewhere = { ...moved, origin_ip: "192.0.2.2" }
      const replaced = yield* apply(elsewhere, updated.state)
      assert.strictEqual(replaced.planned, "replace")
      assert.strictEqual((yield* apply(elsewhere, replaced.state)).planned, "nothing")
      assert.deepStrictEqual(yield* remove("192.0.2.2"), { origin_ip: "192.0.2.2" })
      assert.isUndefined(yield* read("192.0.2.2"))
      assert.deepStrictEqual(yield* operations(zone), [
        "upsert 192.0.2.1",
        "upsert 192.0.2.1",
        "delete 192.0.2.1",
        "upsert 192.0.2.2",
        "delete 192.0.2.2"
      ])
    }))

  it.effect("puts right what was changed or deleted behind its back", () =>
    Effect.gen(function*() {
      const { apply, collection, remove } = yield* newResource
      const { state } = yield* apply(configuration, undefined)
      const path = `${collection}/192.0.2.1`
      yield* call({ method: "PUT", path, body: { ...configuration, vendor: "gcp", region: "us-central1" } })
      assert.strictEqual((yield* apply(configuration, state)).planned, "update")
      yield* remove("192.0.2.1")
      assert.strictEqual((yield* apply(configuration, state)).planned, "create")
    }))

  it.effect("keeps an IPv6 address, and replaces one that is not in canonical form each time", () =>
    Effect.gen(function*() {
      const { apply } = yield* newResource
      const canonical = { ...configuration, origin_ip: "2001:db8::1" }
      const { state } = yield* apply(canonical, undefined)
      assert.strictEqual((yield* apply(canonical, state)).planned, "nothing")
      const other = { ...configuration, origin_ip: "2001:DB8::1" }
      const replaced = yield* apply(other, state)
      assert.strictEqual(replaced.planned, "replace")
      assert.strictEqual((yield* apply(other, replaced.state)).planned, "replace")
    }))

  it.effect("imports by any spelling of the address", () =>
    Effect.gen(function*() {
      const { apply, read } = yield* newResource
      const canonical = { ...configuration, origin_ip: "2001:db8::1" }
      const { state } = yield* apply(canonical, undefined)
      const imported = yield* read("2001:DB8:0::1")
      assert.deepStrictEqual(imported, state)
      assert.strictEqual((yield* apply(canonical, imported)).planned, "nothing")
    }))

  it.effect("lists as many as it wants", () =>
    Effect.gen(function*() {
      const { collection, list } = yield* newResource
      const body = Array.from({ length: 65 }, (_, last) => ({ ...configuration, origin_ip: `192.0.2.${last}` }))
      yield* call({ method: "PUT", path: `${collection}/batch`, body })
      assert.lengthOf(new Set((yield* list(1000)).map(({ origin_ip }) => origin_ip)), 65)
      assert.lengthOf(yield* list(45), 45)
    }))
})
