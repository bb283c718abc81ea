import { assert, describe, it } from "@effect/vitest"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { checkRequest, NOT_JSON, type RequestParts, requestText, requestTextRecord } from "./RequestText.ts"

const create: RequestParts = {
  operation: "create",
  id: "1",
  source: "/test",
  time: "2026-11-24T12:00:00.000Z",
  zone: "demo-shop",
  ip: "2001:0DB8::0001",
  vendor: "aws",
  region: "us-east-1",
  expires: undefined
}

const problemsOf = (parts: Partial<RequestParts>) =>
  checkRequest(requestText({ ...create, ...parts })).map(({ message, path }) => [path, message])

const ofBytes = (bytes: Uint8Array | null) => bytes === null ? null : new TextDecoder().decode(bytes)

describe("checkRequest", () => {
  it("finds nothing wrong with what the consumer would send to the API", () => {
    assert.deepStrictEqual(problemsOf({}), [])
    assert.deepStrictEqual(problemsOf({ operation: "upsert", expires: "2030-01-01T00:00:00Z" }), [])
    assert.deepStrictEqual(problemsOf({ operation: "delete", vendor: undefined, region: undefined }), [])
  })

  it("names every problem, of the envelope and of the data", () => {
    assert.deepStrictEqual(
      problemsOf({
        id: "",
        zone: "demo shop",
        ip: "192.0.2.256",
        vendor: "AWS",
        region: undefined,
        expires: "tomorrow"
      }).map(([path]) => path),
      ["id", "expirytime", "data.zone_id", "data.ip", "data.vendor", "data.region"]
    )
  })

  it("says what was given where something was", () => {
    assert.deepStrictEqual(problemsOf({ ip: "192.0.2.0/24" }), [
      ["data.ip", "ip must be an IPv4 or IPv6 address, not \"192.0.2.0/24\""]
    ])
    assert.deepStrictEqual(problemsOf({ ip: undefined }), [[
      "data.ip",
      "ip is missing: it must be an IPv4 or IPv6 address"
    ]])
    assert.deepStrictEqual(problemsOf({ vendor: "AWS" }), [
      ["data.vendor", "vendor must be one of aws, azure, gcp, oci, not \"AWS\""]
    ])
  })

  it("asks no vendor and region of a delete", () => {
    assert.deepStrictEqual(problemsOf({ operation: "delete", ip: "x", vendor: undefined, region: undefined }), [
      ["data.ip", "ip must be an IPv4 or IPv6 address, not \"x\""]
    ])
  })

  it("speaks of the line, where it is none", () => {
    assert.deepStrictEqual(checkRequest("{"), [{ path: "", message: NOT_JSON }])
  })

  it.each([["no JSON", "{"], ["no object", "[]"], ["nothing", ""], ["a list as data", "{\"data\":[]}"]])(
    "finds a problem in %s",
    (_, text) => assert.isAbove(checkRequest(text).length, 0)
  )
})

describe("requestTextRecord", () => {
  it("passes the text on as it is, keyed by zone and canonical address", () => {
    const text = requestText(create).replace("{", "{ \"extension\": \"kept\", ")
    const record = requestTextRecord(text)
    assert.strictEqual(ofBytes(record.value), text)
    assert.strictEqual(ofBytes(record.key), "demo-shop/2001:db8::1")
    assert.strictEqual(readRequest(record).verdict._tag, "Apply")
  })

  it.each([["an unusable address", requestText({ ...create, ip: "x" })], ["no JSON", "no JSON"]])(
    "gives %s no key",
    (_, text) => {
      const record = requestTextRecord(text)
      assert.deepStrictEqual([record.key, ofBytes(record.value)], [null, text])
    }
  )
})
