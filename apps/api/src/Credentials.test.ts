import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { admission, isDenial } from "./Credentials.ts"

const admit = admission({
  tokens: [Redacted.make("first"), Redacted.make("second")],
  keys: [{ email: "a@example.com", key: Redacted.make("k1") }, { email: "b@example.com", key: Redacted.make("k2") }]
})

const malformed = (code: number, header: string) => ({
  error: "invalid_headers",
  chain: [{ code, message: `Invalid format for ${header} header` }]
})

describe("admission", () => {
  it.each([
    ["a token", { authorization: "Bearer first" }],
    ["another token, by a scheme in lower case", { authorization: "bearer second" }],
    ["an address with its key", { "x-auth-email": "a@example.com", "x-auth-key": "k1" }],
    ["a token beside a wrong key", {
      authorization: "Bearer first",
      "x-auth-email": "a@example.com",
      "x-auth-key": "x"
    }]
  ])("lets %s in", (_, headers) => {
    assert.isFalse(isDenial(admit(headers)))
  })

  it.each([
    ["nothing", {}],
    ["an address alone", { "x-auth-email": "a@example.com" }],
    ["a key alone", { "x-auth-key": "k1" }]
  ])("misses a credential in %s", (_, headers) => {
    assert.deepStrictEqual(admit(headers), { error: "missing_credential" })
  })

  it.each([
    ["an unknown token", { authorization: "Bearer third" }],
    ["the beginning of a token", { authorization: "Bearer firs" }],
    ["a key as a token", { authorization: "Bearer k1" }],
    ["somebody else's key", { "x-auth-email": "a@example.com", "x-auth-key": "k2" }],
    ["a token as a key", { "x-auth-email": "a@example.com", "x-auth-key": "first" }],
    ["an unknown token beside a good key", {
      authorization: "Bearer third",
      "x-auth-email": "a@example.com",
      "x-auth-key": "k1"
    }]
  ])("refuses %s", (_, headers) => {
    assert.deepStrictEqual(admit(headers), { error: "authentication_error" })
  })

  it.each([
    ["another scheme", { authorization: "Basic Zmlyc3Q=" }, malformed(6111, "Authorization")],
    ["a token without its scheme", { authorization: "first" }, malformed(6111, "Authorization")],
    ["no token", { authorization: "Bearer" }, malformed(6111, "Authorization")],
    ["two tokens", { authorization: "Bearer first second" }, malformed(6111, "Authorization")],
    ["no address", { "x-auth-email": "a", "x-auth-key": "k1" }, malformed(6102, "X-Auth-Email")],
    ["an empty key", { "x-auth-email": "a@example.com", "x-auth-key": "" }, malformed(6103, "X-Auth-Key")]
  ])("says that %s is malformed", (_, headers, denial) => {
    assert.deepStrictEqual<unknown>(admit(headers), denial)
  })

  it("names a credential by a short part of its hash, the same each time", () => {
    const ids = [
      { authorization: "Bearer first" },
      { authorization: "Bearer second" },
      { "x-auth-email": "a@example.com", "x-auth-key": "k1" },
      { authorization: "bearer  first" }
    ].map((headers) => {
      const answer = admit(headers)
      return isDenial(answer) ? assert.fail() : answer.tokenId
    })
    for (const id of ids) assert.match(id, /^[0-9a-f]{12}$/u)
    assert.strictEqual(new Set(ids).size, 3)
    assert.strictEqual(ids[0], ids[3])
  })
})
