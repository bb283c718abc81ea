import { assert, describe, it } from "@effect/vitest"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Redacted } from "effect"
import { hash } from "node:crypto"
import { admission, isDenial, type Need } from "./Credentials.ts"

const sha256 = (secret: string) => hash("sha256", secret, "hex")

const admit = admission({
  tokens: [Redacted.make("first"), Redacted.make("second")],
  keys: [{ email: "a@example.com", key: Redacted.make("k1") }, { email: "b@example.com", key: Redacted.make("k2") }],
  grants: [
    { sha256: sha256("reader"), scopes: ["read"], zones: [ZoneId.make("mine"), ZoneId.make("ours")] },
    { sha256: sha256("auditor"), scopes: ["audit", "read"] },
    { email: "c@example.com", sha256: sha256("k3"), scopes: ["write"] }
  ]
})

const reading: Need = { scope: "read", zone: "zone" }

const malformed = (code: number, header: string) => ({
  error: "invalid_headers",
  chain: [{ code, message: `Invalid format for ${header} header` }]
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

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
    assert.isFalse(isDenial(admit(headers, reading)))
  })

  it.each([
    ["nothing", {}],
    ["an address alone", { "x-auth-email": "a@example.com" }],
    ["a key alone", { "x-auth-key": "k1" }]
  ])("misses a credential in %s", (_, headers) => {
    assert.deepStrictEqual(admit(headers, reading), { error: "missing_credential" })
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
    assert.deepStrictEqual(admit(headers, reading), { error: "authentication_error" })
  })

  it.each([
    ["another scheme", { authorization: "Basic Zmlyc3Q=" }, malformed(6111, "Authorization")],
    ["a token without its scheme", { authorization: "first" }, malformed(6111, "Authorization")],
    ["no token", { authorization: "Bearer" }, malformed(6111, "Authorization")],
    ["two tokens", { authorization: "Bearer first second" }, malformed(6111, "Authorization")],
    ["no address", { "x-auth-email": "a", "x-auth-key": "k1" }, malformed(6102, "X-Auth-Email")],
    ["an empty key", { "x-auth-email": "a@example.com", "x-auth-key": "" }, malformed(6103, "X-Auth-Key")]
  ])("says that %s is malformed", (_, headers, denial) => {
    assert.deepStrictEqual<unknown>(admit(headers, reading), denial)
  })

  it("names a credential by a short part of its hash, the same each time", () => {
    const ids = [
      { authorization: "Bearer first" },
      { authorization: "Bearer second" },
      { "x-auth-email": "a@example.com", "x-auth-key": "k1" },
      { authorization: "bearer  first" }
    ].map((headers) => {
      const answer = admit(headers, reading)
      return isDenial(answer) ? assert.fail() : answer.tokenId
    })
    for (const id of ids) assert.match(id, /^[0-9a-f]{12}$/u)
    assert.strictEqual(new Set(ids).size, 3)
    assert.strictEqual(ids[0], ids[3])
  })

  const key = { "x-auth-email": "c@example.com", "x-auth-key": "k3" }
  it.each<[string, Record<string, string>, Need, boolean]>([
    ["a reader read its zone", bearer("reader"), { scope: "read", zone: "mine" }, true],
    ["a reader read another zone", bearer("reader"), { scope: "read", zone: "theirs" }, false],
    ["a reader write", bearer("reader"), { scope: "write", zone: "mine" }, false],
    ["a reader read the log of all zones", bearer("reader"), { scope: "audit" }, false],
    ["an auditor read the log", bearer("auditor"), { scope: "audit" }, true],
    ["an auditor read any zone", bearer("auditor"), reading, true],
    ["an auditor inject faults", bearer("auditor"), { scope: "faults" }, false],
    ["a key write", key, { scope: "write", zone: "zone" }, true],
    ["a key read without that scope", key, reading, false],
    ["a key come as a token", bearer("k3"), { scope: "write", zone: "zone" }, false],
    ["a token of the settings inject faults", bearer("first"), { scope: "faults" }, true]
  ])("decides whether to let %s", (_, headers, need, admitted) => {
    const answer = admit(headers, need)
    if (admitted) assert.isFalse(isDenial(answer))
    else assert.deepStrictEqual(answer, { error: "authentication_error" })
  })
})
