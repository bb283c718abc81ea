import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { type ApiErrorName, apiErrors } from "@origin-regions/domain/ApiError"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { parseTimestamp } from "@origin-regions/domain/Timestamp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Duration, Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { hash } from "node:crypto"
import { connect, type Socket } from "node:net"
import { DatabaseSync } from "node:sqlite"
import { ApiServer } from "./ApiServer.ts"
import { Authentication } from "./Authentication.ts"
import { Credentials } from "./Credentials.ts"
import { Faults } from "./Faults.ts"
import { answersIn, exchange } from "./fixtures/RawAnswers.ts"
import {
  type Answer,
  assertFailure,
  auditOf,
  bearer,
  type Call,
  call,
  collection,
  draft,
  newZone,
  newZoneId,
  onFile,
  patch,
  post,
  resultOf,
  testSettings,
  withId
} from "./fixtures/TestServer.ts"
import { AllEntries, BatchOutcome, OneEntry, Regions } from "./Generation1.ts"
import { MappingStore, ZONE_LIMIT } from "./MappingStore.ts"
import * as Sqlite from "./MappingStore/Sqlite.ts"
import { openApiGeneration1, openApiGeneration2 } from "./OpenApiDocument.ts"
import { OriginRegions } from "./OriginRegions.ts"
import { RateLimit } from "./RateLimit.ts"
import { Settings } from "./Settings.ts"
import { supportedRegions } from "./SupportedRegions.ts"

const item = (origin_ip: string) => ({ origin_ip, vendor: "aws", region: "us-east-1" })

const batch = (method: "PATCH" | "DELETE", zone: string, body?: unknown) =>
  call({ method, path: `${zone}/batch`, ...(body === undefined ? {} : { body }) })

layer(onFile(), { excludeTestServices: true })("ApiServer, generation 1", (it) => {
  it.effect("lists nothing for a zone without mappings", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path: yield* newZone })), {
        id: "origin_public_cloud_region",
        editable: true,
        modified_on: null,
        value: []
      })
    }))

  it.effect("creates a mapping and answers with it, canonical and dated", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const answer = yield* post(zone, { ...draft, ip: "2001:DB8:0:0::1" })
      const created = resultOf(OneEntry, answer)
      assert.deepStrictEqual<unknown>(created, {
        id: "origin_public_cloud_region",
        editable: true,
        modified_on: created.modified_on,
        value: { "origin-ip": "2001:db8::1", vendor: "aws", region: "us-east-1", modified_on: created.modified_on }
      })
      const sentAt = Date.parse(answer.headers.date ?? "")
      assert.isAtMost(Math.floor((parseTimestamp(created.modified_on) ?? NaN) / 1000) * 1000, sentAt)
      assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path: zone })).value, [created.value])
    }))

  it.effect("finds an address by any spelling, with colons raw or encoded", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const created = resultOf(OneEntry, yield* post(zone, { ...draft, ip: "2001:db8::1" }))
      for (
        const spelling of [
          "2001:db8::1",
          "2001%3Adb8%3a%3A1",
          "2001:0DB8:0:0:0:0:0:1",
          "2001:db8::0.0.0.1",
          "2001:db8::1?x=1;y"
        ]
      ) {
        assert.deepStrictEqual(resultOf(OneEntry, yield* call({ path: `${zone}/${spelling}` })), created, spelling)
      }
    }))

  it.effect("upserts, and answers with the complete list", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      yield* post(zone, { ...draft, ip: "192.0.2.2" })
      const added = resultOf(AllEntries, yield* patch(zone, { ...draft, ip: "192.0.2.1" }))
      assert.deepStrictEqual(added.value.map((entry) => entry["origin-ip"]), ["192.0.2.1", "192.0.2.2"])
      const replaced = resultOf(
        AllEntries,
        yield* patch(zone, { ip: "192.0.2.2", vendor: "gcp", region: "us-central1" })
      )
      assert.deepStrictEqual<unknown>(
        replaced.value.map(({ region, vendor }) => ({ region, vendor })),
        [{ vendor: "aws", region: "us-east-1" }, { vendor: "gcp", region: "us-central1" }]
      )
      assert.strictEqual(replaced.modified_on, replaced.value[1]?.modified_on)
    }))

  it.effect("deletes and answers with what was deleted", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const created = resultOf(OneEntry, yield* post(zone, draft))
      assert.deepStrictEqual(resultOf(OneEntry, yield* call({ method: "DELETE", path: `${zone}/192.0.2.1` })), created)
      assertFailure(yield* call({ method: "DELETE", path: `${zone}/192.0.2.1` }), ["nothing_to_delete"])
      assertFailure(yield* call({ path: `${zone}/192.0.2.1` }), ["not_found"])
    }))

  it.effect("upserts a batch, and says what it left out", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      yield* post(zone, draft)
      const { modified_on, value } = resultOf(
        BatchOutcome,
        yield* batch("PATCH", zone, [
          { ip: "192.0.2.1", vendor: "gcp", region: "us-central1" },
          { ip: "010.0.0.1", vendor: "aws", region: "us-east-1" },
          { ip: "2001:DB8::1", vendor: "aws", region: "us-east-1" },
          { ip: "192.0.2.2", vendor: "aws", region: "westeurope" },
          7,
          JSON.parse("{\"__proto__\":{\"ip\":\"192.0.2.3\",\"vendor\":\"aws\",\"region\":\"us-east-1\"}}"),
          { ip: "192.0.2.4\0", vendor: "aws", region: "us-east-1" },
          { ip: "192.0.2.1", vendor: "oci", region: "eu-frankfurt-1" }
        ])
      )
      assert.deepStrictEqual<unknown>(value, {
        succeeded: [
          { "origin-ip": "192.0.2.1", vendor: "gcp", region: "us-central1" },
          { "origin-ip": "2001:db8::1", vendor: "aws", region: "us-east-1" },
          { "origin-ip": "192.0.2.1", vendor: "oci", region: "eu-frankfurt-1" }
        ],
        failed: [
          { "origin-ip": "010.0.0.1", error: apiErrors.invalid_ip.message },
          { "origin-ip": "192.0.2.2", error: apiErrors.unsupported_region.message },
          { "origin-ip": "", error: apiErrors.invalid_ip.message },
          { "origin-ip": "", error: apiErrors.invalid_ip.message },
          { "origin-ip": "192.0.2.4\0", error: apiErrors.invalid_ip.message }
        ]
      })
      const all = resultOf(AllEntries, yield* call({ path: zone }))
      assert.deepStrictEqual(all.value.map(({ vendor }) => vendor), ["oci", "aws"])
      assert.strictEqual(all.modified_on, modified_on)
      const nothing = resultOf(BatchOutcome, yield* batch("PATCH", zone, [{ ip: "x" }]))
      assert.isNull(nothing.modified_on)
    }))

  it.effect("deletes a batch, and gives what was deleted", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      yield* post(zone, draft)
      const { value } = resultOf(
        BatchOutcome,
        yield* batch("DELETE", zone, ["192.0.2.1", "192.0.2.1", "192.0.2.9", "x", null])
      )
      assert.deepStrictEqual<unknown>(value, {
        succeeded: [{ "origin-ip": "192.0.2.1", vendor: "aws", region: "us-east-1" }],
        failed: [
          { "origin-ip": "x", error: apiErrors.invalid_ip.message },
          { "origin-ip": "", error: apiErrors.invalid_ip.message },
          { "origin-ip": "192.0.2.1", error: apiErrors.nothing_to_delete.message },
          { "origin-ip": "192.0.2.9", error: apiErrors.nothing_to_delete.message }
        ]
      })
      assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path: zone })).value, [])
    }))

  const badBatches: ReadonlyArray<readonly [string, unknown]> = [
    ["nothing", undefined],
    ["no items", []],
    ["101 items", Array.from({ length: 101 }, (_, index) => ({ ...draft, ip: `192.0.2.${index}` }))],
    ["an object", { items: [draft] }],
    ["a string", "192.0.2.1"]
  ]
  it.effect.each(badBatches)("refuses a batch of %s as a whole", ([, body]) =>
    Effect.gen(function*() {
      const zone = yield* newZone
      yield* post(zone, { ...draft, ip: "192.0.2.200" })
      assertFailure(yield* batch("PATCH", zone, body), ["invalid_ip"])
      assertFailure(yield* batch("DELETE", zone, body), ["invalid_ip"])
      assert.lengthOf(resultOf(AllEntries, yield* call({ path: zone })).value, 1)
    }))

  it.effect("tells what it supports", () =>
    Effect.gen(function*() {
      const answer = yield* call({ path: `${yield* newZone}/supported_regions` })
      assert.deepStrictEqual(resultOf(Regions, answer), supportedRegions)
    }))

  it.effect("lets one of 200 concurrent creates of one address in mixed spellings win", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      const spellings = ["2001:db8::1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:0db8::0001", "2001:db8::0.0.0.1"]
      const answers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => spellings[index % spellings.length]),
        (ip) => post(zone, { ...draft, ip }),
        { concurrency: "unbounded" }
      )
      const [won, lost] = [200, 400].map((status) => answers.filter((answer) => answer.status === status))
      assert.lengthOf(won ?? [], 1)
      assert.lengthOf(lost ?? [], 199)
      for (const answer of lost ?? []) assertFailure(answer, ["already_exists"])
      assert.lengthOf(resultOf(AllEntries, yield* call({ path: zone })).value, 1)
    }))

  const refusedBodies: ReadonlyArray<readonly [string, Pick<Call, "body" | "raw">, ApiErrorName]> = [
    ["nothing", {}, "invalid_ip"],
    ["malformed JSON", { raw: "{\"ip\":" }, "invalid_ip"],
    ["JSON that is no object", { raw: "\"192.0.2.1\"" }, "invalid_ip"],
    ["null", { raw: "null" }, "invalid_ip"],
    ["an array", { body: [draft] }, "invalid_ip"],
    ["no address", { body: { vendor: "aws", region: "us-east-1" } }, "invalid_ip"],
    ["an empty address", { body: { ...draft, ip: "" } }, "invalid_ip"],
    ["an address that is no string", { body: { ...draft, ip: 1 } }, "invalid_ip"],
    ["a NUL byte in the address", { body: { ...draft, ip: "192.0.2.1\0" } }, "invalid_ip"],
    ["an address only in the prototype", { raw: "{\"__proto__\":{\"ip\":\"192.0.2.1\"}}" }, "invalid_ip"],
    [
      "the field of another generation",
      { body: { vendor: "aws", region: "us-east-1", origin_ip: "192.0.2.1" } },
      "invalid_ip"
    ],
    ["a wrong address and a wrong vendor", { body: { ip: "x", vendor: "x" } }, "invalid_ip"],
    ["no vendor", { body: { ip: "192.0.2.1", region: "us-east-1" } }, "unsupported_region"],
    ["an unknown vendor", { body: { ...draft, vendor: "acme" } }, "unsupported_region"],
    ["no region", { body: { ip: "192.0.2.1", vendor: "aws" } }, "unsupported_region"],
    ["another cloud's region", { body: { ...draft, region: "westeurope" } }, "unsupported_region"]
  ]
  for (const method of ["POST", "PATCH"]) {
    it.effect.each(refusedBodies)(`refuses ${method} with %s`, ([, body, name]) =>
      Effect.gen(function*() {
        const zone = yield* newZone
        assertFailure(yield* call({ method, path: zone, ...body }), [name])
        assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path: zone })).value, [])
      }))

    it.effect(`reads a ${method} of up to 1 MiB, and no more`, () =>
      Effect.gen(function*() {
        const zone = yield* newZone
        const raw = JSON.stringify(draft).padEnd(1024 * 1024, " ")
        const chunked = { ...bearer, "transfer-encoding": "chunked" }
        assertFailure(yield* call({ method, path: zone, raw: `${raw} ` }), ["invalid_ip"], { status: 413 })
        assertFailure(yield* call({ method, path: zone, raw: `${raw} `, headers: chunked }), ["invalid_ip"], {
          status: 413
        })
        assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path: zone })).value, [])
        assert.strictEqual((yield* call({ method, path: zone, raw })).status, 200)
      }))
  }

  it.effect.each([
    "192.0.2",
    "192.0.2.1%2F32",
    "010.0.0.1",
    "fe80::1%25eth0",
    "%E2%82%AC",
    "1.2.3.4;x",
    "1.2.3.4%2500",
    "1.2.3.4%00",
    "..",
    "%2e%2e",
    "__proto__",
    "batch2"
  ])(
    "refuses the address %s in the path",
    (address) =>
      Effect.gen(function*() {
        const path = `${yield* newZone}/${address}`
        assertFailure(yield* call({ path }), ["invalid_ip"])
        assertFailure(yield* call({ method: "DELETE", path }), ["invalid_ip"])
      })
  )

  it.effect("decodes a path once", () =>
    Effect.gen(function*() {
      const zone = yield* newZone
      yield* post(zone, { ...draft, ip: "2001:db8::1" })
      assertFailure(yield* call({ path: `${zone}/2001%253Adb8::1` }), ["invalid_ip"])
    }))

  const unrouted: ReadonlyArray<readonly [string, string]> = [
    ["GET", "/"],
    ["GET", "/client/v4/zones"],
    ["GET", `${collection("zone")}/192.0.2.0/24`],
    ["GET", `${collection("zone")}/fe80::1%eth0`],
    ["GET", `${collection("zone")}/%`],
    ["DELETE", `${collection("zone")}/%C0%AF`],
    ["GET", `${collection("zone")}/..`.replace("cache", "%2e%2e")],
    ["GET", `${collection("zone")}/../origin_cloud_regions`],
    ["GET", `/client/v4/zones/zone/../zone/cache/origin_cloud_regions`],
    ["DELETE", `${collection("zone")}/%2e%2e/batch`],
    ["GET", collection("..")],
    ["GET", collection("zone%00")],
    ["GET", collection("zone").toUpperCase()],
    ["GET", collection("zone").replace("zones", "/zones")],
    ["PUT", collection("zone")],
    ["DELETE", collection("zone")],
    ["OPTIONS", collection("zone")],
    ["TRACE", collection("zone")],
    ["PROPFIND", collection("zone")],
    ["POST", `${collection("zone")}/192.0.2.1`],
    ["PATCH", `${collection("zone")}/supported_regions`],
    ["DELETE", `${collection("zone")}/supported_regions`],
    ["GET", `${collection("zone")}/batch`],
    ["PUT", `${collection("zone")}/batch`],
    ["POST", `${collection("zone")}/batch`],
    ["POST", "/health"],
    ["GET", collection("z".repeat(33))],
    ["GET", collection("z".repeat(200))],
    ["GET", collection("")],
    ["GET", collection("zone%20")],
    ["GET", collection("z.one")],
    ["POST", collection("z%C3%B6ne")]
  ]
  it.effect.each(unrouted)("has no route for %s %s", ([method, path]) =>
    Effect.gen(function*() {
      assertFailure(yield* call({ method, path, body: draft }), ["unknown_zone", "no_route"])
    }))

  it.effect("serves every zone id of 1 to 32 characters", () =>
    Effect.gen(function*() {
      for (const zone of ["0", "-", "_", "z".repeat(32), "023e105f4ecef8ad9ca31a8372d0c353"]) {
        resultOf(AllEntries, yield* call({ path: collection(zone) }))
      }
    }))

  it.effect("answers HEAD with the headers of GET", () =>
    Effect.gen(function*() {
      const path = yield* newZone
      const get = yield* call({ path })
      const head = yield* call({ method: "HEAD", path })
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.headers["content-length"], String(get.text.length))
      assert.strictEqual(head.text, "")
      assert.strictEqual((yield* call({ method: "HEAD", path: `${path}/192.0.2.1` })).status, 404)
      assert.strictEqual((yield* call({ method: "HEAD", path: "/nowhere" })).status, 400)
    }))

  const denied: ReadonlyArray<
    readonly [string, Record<string, string>, ApiErrorName, { readonly chain?: ReadonlyArray<unknown> }]
  > = [
    ["no credential", {}, "missing_credential", {}],
    ["a malformed header", { authorization: "Basic eA==" }, "invalid_headers", {
      chain: [{ code: 6111, message: "Invalid format for Authorization header" }]
    }],
    ["an unknown token", { authorization: "Bearer other" }, "authentication_error", {}],
    ["a wrong key", { "x-auth-email": "a@example.com", "x-auth-key": "t0ken" }, "authentication_error", {}]
  ]
  it.effect.each(denied)("lets nobody in with %s", ([, headers, name, details]) =>
    Effect.gen(function*() {
      const path = yield* newZone
      assertFailure(yield* call({ method: "POST", path, headers, body: draft }), [name], details)
      assertFailure(yield* call({ path: collection("z".repeat(33)), headers }), [name], details)
      assert.deepStrictEqual(resultOf(AllEntries, yield* call({ path })).value, [])
    }))

  it.effect("lets an e-mail address in with its key", () =>
    Effect.gen(function*() {
      const headers = { "x-auth-email": "a@example.com", "x-auth-key": "k3y" }
      resultOf(AllEntries, yield* call({ path: yield* newZone, headers }))
    }))

  const changes = [
    { operation: "create", before: null, after: { vendor: "aws", region: "us-east-1" } },
    {
      operation: "upsert",
      before: { vendor: "aws", region: "us-east-1" },
      after: { vendor: "gcp", region: "us-central1" }
    },
    { operation: "delete", before: { vendor: "gcp", region: "us-central1" }, after: null }
  ]
  it.effect("keeps a line at /audit for every write that it accepted, and for no other", () =>
    Effect.gen(function*() {
      const zone_id = yield* newZoneId
      const path = collection(zone_id)
      const created = yield* call({ method: "POST", path, body: draft, headers: withId("mine-1") })
      assert.strictEqual(created.headers["x-request-id"], "mine-1")
      yield* call({ method: "POST", path, body: draft, headers: withId("mine-2") })
      yield* post(path, { ...draft, ip: "x" })
      yield* post(path, { ...draft, ip: "192.0.2.2", region: "x" })
      yield* call({
        method: "PATCH",
        path,
        body: { ip: "192.0.2.1", vendor: "gcp", region: "us-central1" },
        headers: withId("not an id")
      })
      yield* call({ method: "DELETE", path: `${path}/192.0.2.1`, headers: withId("mine-3") })
      yield* call({ method: "DELETE", path: `${path}/192.0.2.1` })
      const entries = auditOf(yield* call({ path: `/audit?zone=${zone_id}` }))
      assert.deepStrictEqual(
        entries.map(({ after, before, operation }) => ({
          operation,
          before: before && { vendor: before.vendor, region: before.region },
          after: after && { vendor: after.vendor, region: after.region }
        })),
        changes
      )
      for (const { at, generation, origin_ip, token_id, zone_id: zone } of entries) {
        assert.deepStrictEqual([generation, origin_ip, zone], [1, "192.0.2.1", zone_id])
        assert.match(token_id, /^[0-9a-f]{12}$/u)
        assert.isDefined(parseTimestamp(at))
      }
      const [first, second, third] = entries
      assert.deepStrictEqual([first?.request_id, third?.request_id], ["mine-1", "mine-3"])
      assert.match(second?.request_id ?? "", /^[0-9a-f-]{36}$/u)
      assert.strictEqual(first?.after?.modified_on, resultOf(OneEntry, created).modified_on)
      const next = `/audit?zone=${zone_id}&after=${first?.sequence}&limit=1`
      assert.deepStrictEqual(auditOf(yield* call({ path: next })), entries.slice(1, 2))
    }))

  it.effect("shows the log only to who may see it, and says what is wrong with a question", () =>
    Effect.gen(function*() {
      assertFailure(yield* call({ path: "/audit", headers: {} }), ["missing_credential"])
      assertFailure(yield* call({ path: "/audit", headers: { authorization: "Bearer x" } }), ["authentication_error"])
      for (
        const [query, field] of [["zone=a.b", "zone"], ["after=-1", "after"], ["after=1.5", "after"], [
          "limit=0",
          "limit"
        ], [
          "limit=1001",
          "limit"
        ]]
      ) {
        const answer = yield* call({ path: `/audit?${query}` })
        assert.strictEqual(answer.status, 400)
        assert.match(answer.text, new RegExp(`"success":false,.*"message":"${field} must be`, "u"))
      }
      assertFailure(yield* call({ method: "DELETE", path: "/audit" }), ["unknown_zone", "no_route"])
    }))

  it.effect("says to anybody that it is healthy, what it counted, and what it serves", () =>
    Effect.gen(function*() {
      yield* call({ path: `${yield* newZone}/192.0.2.1` })
      const [health, metrics, openapi1, openapi2, docs1, docs2, docs] = yield* Effect.forEach(
        ["/health", "/metrics", "/openapi-v1.json", "/openapi-v2.json", "/docs/v1", "/docs/v2", "/docs"],
        (path) => call({ path, headers: {} })
      )
      assert.deepStrictEqual(health?.body, { status: "ok" })
      assert.match(
        metrics?.text ?? "",
        /^origin_regions_api_requests_total\{generation="1",operation="get",code="1142"\} [1-9]/mu
      )
      assert.deepStrictEqual(openapi1?.body, JSON.parse(JSON.stringify(openApiGeneration1())))
      assert.deepStrictEqual(openapi2?.body, JSON.parse(JSON.stringify(openApiGeneration2())))
      for (const page of [docs1, docs2]) {
        assert.match(page?.text ?? "", /^<!doctype html>/u)
        assert.isAbove(page?.text.length ?? 0, 1_000_000, "the page has its script in itself")
        assert.notMatch(String(page?.headers["content-security-policy"]), /http/u)
      }
      assert.strictEqual(docs?.headers.location, "/docs/v2")
    }))
})

const port = Effect.map(ApiServer, ({ address }) => Number(new URL(address).port))

const write = (text: string) =>
  Effect.flatMap(ApiServer, ({ address }) =>
    Effect.callback<string>((resume) => {
      const { hostname, port } = new URL(address)
      const socket = connect(Number(port), hostname, () => socket.write(text))
      let received = ""
      socket.setEncoding("utf8").on("data", (chunk: string) => received += chunk)
      socket.on("close", () => resume(Effect.succeed(received)))
      socket.on("error", (error) => resume(Effect.die(error)))
    }))

const headOf = (path: string, body: string) =>
  [`POST ${path} HTTP/1.1`, "Host: x", "Authorization: Bearer t0ken", `Content-Length: ${body.length}`, "", ""].join(
    "\r\n"
  )

/** Sends text, and goes on as told once the server has said something; gives all that it says until the connection is closed on both sides. */
const talk = (text: string, goOn: (socket: Socket) => void) =>
  Effect.flatMap(ApiServer, ({ address }) =>
    Effect.callback<string>((resume) => {
      const { hostname, port } = new URL(address)
      const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }, () => socket.write(text))
      let received = ""
      socket.setEncoding("utf8").on("data", (chunk: string) => received += chunk)
      socket.once("data", () => goOn(socket))
      // The server has closed before all was sent.
      socket.on("error", () => socket.destroy())
      socket.on("close", () => resume(Effect.succeed(received)))
    }))

/** Never closes, and so learns only from a write that the other side is gone. */
const insist = (socket: Socket): void => {
  socket.write("\x01\x02", (error) => error ?? setImmediate(insist, socket))
}

const failureOf = (name: ApiErrorName) => ({
  success: false,
  errors: [{ code: apiErrors[name].code, message: apiErrors[name].message }],
  messages: [],
  result: null
})

layer(onFile(), { excludeTestServices: true })("ApiServer, below HTTP", (it) => {
  const json = JSON.stringify(draft)
  const withLength = (length: number) => [`Content-Length: ${length}`, "", json]
  it.effect.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<number>, number]>([
    ["says that it is longer", withLength(json.length + 1), [400], 0],
    ["says that it is shorter", withLength(json.length - 1), [400, 400], 0],
    ["says that it is nothing", withLength(0), [400, 400], 0],
    ["says that it is as long as none can be", withLength(1e300), [400], 0],
    ["has a length that is none", ["Content-Length: -1", "", json], [400], 0],
    ["has a chunk that is longer", ["Transfer-Encoding: chunked", "", "fff", json], [400], 0],
    ["has a chunk that is shorter", ["Transfer-Encoding: chunked", "", "1", json, "0", "", ""], [400], 0],
    ["has chunks without end", ["Transfer-Encoding: chunked", "", json.length.toString(16), json, ""], [400], 0],
    ["is as long as it says", withLength(json.length), [200], 1]
  ])("answers a body that %s", ([, rest, statuses, made]) =>
    Effect.gen(function*() {
      const path = yield* newZone
      const head = [`POST ${path} HTTP/1.1`, "Host: x", "Authorization: Bearer t0ken", ...rest]
      const received = yield* exchange(yield* port, Buffer.from(head.join("\r\n")), { isWhole: false })
      const answers = answersIn(received)
      assert.deepStrictEqual(answers.map(({ status }) => status), statuses)
      for (const { body, status } of answers) {
        if (status !== 200) {
          assert.include(
            [failureOf("invalid_ip"), failureOf("invalid_headers")].map((failure) => JSON.stringify(failure)),
            body
          )
        }
      }
      assert.lengthOf(resultOf(AllEntries, yield* call({ path })).value, made)
    }))

  const head = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
  it.effect.each<readonly [string, string, number]>([
    ["something else than HTTP", "\x16\x03\x01\x02\r\n\r\n", 400],
    ["an unknown method", "BREW /health HTTP/1.1\r\nHost: x\r\n\r\n", 400],
    ["no host", "GET /health HTTP/1.1\r\n\r\n", 400],
    ["two lengths", `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400],
    ["a length beside chunks", `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
    ["headers without end", `${head}X: ${"x".repeat(20_000)}\r\n`, 431]
  ])("answers %s with the envelope", ([, text, status]) =>
    Effect.gen(function*() {
      const [start = "", ...body] = (yield* write(text)).split("\r\n\r\n")
      assert.match(start, new RegExp(`^HTTP/1.1 ${status} `, "u"))
      assert.match(start, /^content-type: application\/json$/mu)
      assert.deepStrictEqual(JSON.parse(body.join("")), failureOf("invalid_headers"))
    }))

  it.effect("serves HTTP/1.0 without a host, and an expectation that it does not know", () =>
    Effect.gen(function*() {
      assert.match(yield* write("GET /health HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 200 /u)
      assert.match(yield* write(`${head}Expect: the unexpected\r\n\r\n`), /^HTTP\/1.1 200 /u)
    }))
})

const limitOf = (answer: Answer) => answer.headers["ratelimit"]

describe("ApiServer", () => {
  it.effect("limits each credential as it is published, and says so in every answer", () =>
    Effect.gen(function*() {
      const path = yield* newZone
      const other = { "x-auth-email": "a@example.com", "x-auth-key": "k3y" }
      const first = yield* post(path, draft)
      assert.strictEqual(first.headers["ratelimit-policy"], "\"default\";q=3;w=300")
      assert.strictEqual(limitOf(first), "\"default\";r=2;t=300")
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(limitOf(yield* post(path, draft)), "\"default\";r=1;t=299")
      assert.strictEqual(limitOf(yield* call({ path })), "\"default\";r=0;t=299")
      const refused = yield* call({ method: "DELETE", path: `${path}/192.0.2.1` })
      assertFailure(refused, ["rate_limited"])
      assert.strictEqual(refused.headers["retry-after"], "60")
      assert.strictEqual((yield* call({ path, headers: other })).status, 200)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* call({ path })).headers["retry-after"], "1")
      yield* TestClock.adjust("1 second")
      const again = yield* call({ path })
      assert.strictEqual(limitOf(again), "\"default\";r=2;t=300")
      assert.lengthOf(resultOf(AllEntries, again).value, 1, "nothing was deleted")
    }).pipe(
      Effect.provide(onFile({ rateLimit: { requests: 3, window: Duration.minutes(5), block: Duration.minutes(1) } }))
    ))

  it.effect("says what is left of the limit whatever it answers to a known credential, and to nobody else", () =>
    Effect.gen(function*() {
      const path = yield* newZone
      const withoutZone = yield* call({ path: collection("z".repeat(33)) })
      assertFailure(withoutZone, ["unknown_zone", "no_route"])
      assert.strictEqual(limitOf(withoutZone), "\"default\";r=8;t=300")
      const tooLarge = yield* call({ method: "POST", path, raw: " ".repeat(1024 * 1024 + 1) })
      assertFailure(tooLarge, ["invalid_ip"], { status: 413 })
      assert.strictEqual(limitOf(tooLarge), "\"default\";r=7;t=300")
      for (const answer of [yield* call({ path, headers: {} }), yield* call({ path: "/nowhere" })]) {
        assert.isUndefined(limitOf(answer))
      }
    }).pipe(
      Effect.provide(onFile({ rateLimit: { requests: 9, window: Duration.minutes(5), block: Duration.minutes(1) } }))
    ))

  it.live("gives up on a request that does not arrive, with an answer that lets it be sent again", () =>
    Effect.gen(function*() {
      const begun = [
        `POST ${yield* newZone} HTTP/1.1`,
        "Host: x",
        "Authorization: Bearer t0ken",
        "Content-Length: 9",
        "",
        "{"
      ]
      const [start = "", ...body] = (yield* write(begun.join("\r\n"))).split("\r\n\r\n")
      assert.match(start, /^HTTP\/1.1 408 /u)
      assert.include(body.join(""), "\"code\":1140")
    }).pipe(Effect.provide(onFile({ requestTimeout: Duration.millis(200) }))))

  it.live("does nothing of a request that it has given up, however much of it still comes", () =>
    Effect.gen(function*() {
      const path = yield* newZone
      const body = JSON.stringify(draft)
      const answer = yield* talk(`${headOf(path, body)}${body.slice(0, 10)}`, (socket) => socket.end(body.slice(10)))
      assert.match(answer, /^HTTP\/1.1 408 /u)
      assert.lengthOf(resultOf(AllEntries, yield* call({ path })).value, 0)
    }).pipe(Effect.provide(onFile({ requestTimeout: Duration.millis(200) }))))

  it.live("answers a request before the garbage that follows it, and cuts the connection", () =>
    Effect.gen(function*() {
      const path = yield* newZone
      const body = JSON.stringify(draft)
      const answers = yield* talk(`${headOf(path, body)}${body}\x01\x02\r\n\r\n`, insist)
      assert.deepStrictEqual([...answers.matchAll(/HTTP\/1.1 (\d+) /gu)].map(([, status]) => status), ["200", "400"])
      assert.match(yield* talk("\x01\x02\r\n\r\n", insist), /^HTTP\/1.1 400 /u)
    }).pipe(Effect.provide(onFile())))

  it.live("takes no more connections than it may", () =>
    Effect.gen(function*() {
      const { address } = yield* ApiServer
      const { hostname, port } = new URL(address)
      const first = connect(Number(port), hostname)
      yield* Effect.callback<void>((resume) => {
        first.once("data", () => resume(Effect.void))
        first.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
      })
      assert.strictEqual(yield* write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"), "")
      first.destroy()
    }).pipe(Effect.provide(onFile({ maxConnections: 1 }))))

  it.live("does what the file of tokens says, and no more", () =>
    Effect.gen(function*() {
      const mine = collection("mine")
      const headers = { authorization: "Bearer reader" }
      assert.strictEqual((yield* call({ path: mine, headers })).status, 200)
      assertFailure(yield* call({ path: collection("theirs"), headers }), ["authentication_error"])
      assertFailure(yield* call({ method: "POST", path: mine, headers, body: draft }), ["authentication_error"])
      assertFailure(yield* call({ path: "/audit?zone=mine", headers }), ["authentication_error"])
      assertFailure(yield* call({ path: "/faults", headers }), ["authentication_error"])
    }).pipe(Effect.provide(onFile({
      grants: [{ sha256: hash("sha256", "reader", "hex"), scopes: ["read"], zones: [ZoneId.make("mine")] }]
    }))))

  it.effect("dates answers and mappings by one clock", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(86_400_123)
      const answer = yield* post(yield* newZone, draft)
      assert.strictEqual(answer.headers.date, "Fri, 02 Jan 1970 00:00:00 GMT")
      assert.strictEqual(resultOf(OneEntry, answer).modified_on, "1970-01-02T00:00:00.123Z")
    }).pipe(Effect.provide(onFile())))

  const shared = ApiServer.layerNoDeps.pipe(
    Layer.provide([
      Authentication.layerNoDeps,
      Faults.layerNoDeps,
      OriginRegions.layerNoDeps,
      NodeHttpServer.layerHttpServices
    ]),
    Layer.provide([Credentials.layerNoDeps, RateLimit.layerNoDeps]),
    Layer.provideMerge(Sqlite.layer(":memory:")),
    Layer.provide([testSettings({}), Logger.layer([])])
  )
  it.live("refuses new addresses in a full zone, and replaces those that are there", () =>
    Effect.gen(function*() {
      const zoneId = yield* newZoneId
      const zone = collection(zoneId)
      const first = resultOf(OneEntry, yield* post(zone, { ...draft, ip: "10.0.0.0" }))
      const store = yield* MappingStore
      const [stored] = yield* store.list(ZoneId.make(zoneId))
      assert.isDefined(stored)
      for (let index = 1; index < ZONE_LIMIT; index++) {
        const originIp = canonicalize(`10.0.${index >> 8}.${index & 255}`) ?? assert.fail("not an address")
        yield* store.write({
          zoneId: stored.zoneId,
          changes: [{ type: "create", mapping: { ...stored, originIp } }],
          author: { tokenId: "0a1b2c", requestId: "request-1", generation: 1, operation: "test" },
          at: 0
        })
      }
      assertFailure(yield* post(zone, draft), ["limit_reached"])
      assertFailure(yield* patch(zone, draft), ["limit_reached"])
      assertFailure(yield* post(zone, { ...draft, ip: "10.0.0.0" }), ["already_exists"])
      const path = `${zone}/batch`
      const replaced = { ...draft, ip: "10.0.0.1", region: "eu-west-1" }
      assertFailure(yield* call({ method: "PATCH", path, body: [replaced, draft] }), ["limit_reached"])
      assert.lengthOf(
        resultOf(BatchOutcome, yield* call({ method: "PATCH", path, body: [replaced] })).value.succeeded,
        1
      )
      const all = resultOf(AllEntries, yield* patch(zone, { ...draft, ip: "10.0.0.0", region: "us-west-2" }))
      assert.lengthOf(all.value, ZONE_LIMIT)
      const generation2 = `/client/v4/zones/${zoneId}/origin/cloud_regions`
      const put = (path: string, body: unknown) => call({ method: "PUT", path: `${generation2}/${path}`, body })
      assertFailure(yield* put("192.0.2.1", item("192.0.2.1")), ["limit_reached"])
      assertFailure(yield* put("batch", [item("10.0.0.1"), item("192.0.2.1")]), ["limit_reached"])
      assert.strictEqual((yield* put("10.0.0.1", item("10.0.0.1"))).status, 200)
      assert.strictEqual((yield* put("batch", [item("10.0.0.2")])).status, 200)
      assert.notDeepEqual(all.value[0], first.value)
    }).pipe(Effect.provide(shared)))

  it.live("answers 1140 while its database fails, says to whom, and goes on when it works again", () => {
    const errors: Array<Readonly<Record<string, unknown>>> = []
    const logger = Logger.make<unknown, void>(({ fiber, logLevel }) => {
      if (logLevel === "Error") errors.push(fiber.getRef(References.CurrentLogAnnotations))
    })
    return Effect.gen(function*() {
      const zone = yield* newZone
      const { database } = yield* Settings
      const alter = (sql: string) =>
        Effect.sync(() => {
          const connection = new DatabaseSync(database)
          connection.exec(sql)
          connection.close()
        })
      yield* alter("ALTER TABLE mappings RENAME TO gone")
      const answer = yield* post(zone, draft)
      assertFailure(answer, ["internal_error"])
      assert.deepStrictEqual(errors, [{
        request_id: answer.headers["x-request-id"],
        zone_id: zone.split("/")[4],
        generation: 1,
        operation: "create"
      }])
      assertFailure(yield* patch(zone, draft), ["internal_error"])
      assertFailure(yield* call({ path: zone }), ["internal_error"])
      assertFailure(yield* call({ path: `${zone}/192.0.2.1` }), ["internal_error"])
      assertFailure(yield* call({ method: "DELETE", path: `${zone}/192.0.2.1` }), ["internal_error"])
      const health = yield* call({ path: "/health", headers: {} })
      assert.strictEqual(health.status, 503)
      assert.deepStrictEqual(health.body, { status: "database unavailable" })
      yield* alter("ALTER TABLE gone RENAME TO mappings")
      assert.strictEqual((yield* call({ path: "/health" })).status, 200)
      resultOf(OneEntry, yield* post(zone, draft))
    }).pipe(Effect.provide(onFile({}, [logger])))
  })

  it.live("answers 1140 to a fault that nobody thought of, and tells nothing about it", () =>
    Effect.gen(function*() {
      assertFailure(yield* call({ path: yield* newZone }), ["internal_error"])
      assertFailure(yield* call({ path: yield* newZone }), ["internal_error"])
    }).pipe(Effect.provide(
      ApiServer.layerNoDeps.pipe(
        Layer.provide([
          Layer.mock(OriginRegions)({ supportedRegions, list: () => Effect.die(new Error("a bug")) }),
          Authentication.layerNoDeps,
          Faults.layerNoDeps,
          NodeHttpServer.layerHttpServices
        ]),
        Layer.provide([Credentials.layerNoDeps, RateLimit.layerNoDeps, Sqlite.layer(":memory:")]),
        Layer.provide([testSettings({}), Logger.layer([])])
      )
    )))
})
