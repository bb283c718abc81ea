import { assert, describe, it } from "@effect/vitest"
import { type ApiErrorName, apiErrorName, apiErrors, rejectionNames } from "./ApiError.ts"

const names = Object.keys(apiErrors) as Array<ApiErrorName>

describe("apiErrors", () => {
  it("names each of the contract's rejections by its code", () => {
    assert.deepStrictEqual(
      rejectionNames.map((name) => [apiErrors[name].code, name]),
      [
        [1145, "already_exists"],
        [1146, "invalid_ip"],
        [1157, "unsupported_region"],
        [1164, "limit_reached"],
        [7003, "unknown_zone"]
      ]
    )
    for (const name of rejectionNames) assert.strictEqual(apiErrorName(apiErrors[name].code), name)
  })

  it("has one name for a code, but for the three texts of 1146", () => {
    const namesOfCodes = Map.groupBy(names, (name) => apiErrors[name].code)
    for (const [code, ofCode] of namesOfCodes) {
      assert.deepStrictEqual(ofCode, code === 1146 ? ["invalid_ip", "ip_mismatch", "invalid_per_page"] : [ofCode[0]])
    }
    assert.strictEqual(apiErrorName(1146), "invalid_ip")
    assert.isUndefined(apiErrorName(4711))
  })

  it("has every text once", () => {
    assert.strictEqual(new Set(names.map((name) => apiErrors[name].message)).size, names.length)
  })

  it("calls a bad credential what is nobody's request's fault", () => {
    const codes = names.filter((name) => apiErrors[name].category === "credential").map((name) => apiErrors[name].code)
    assert.deepStrictEqual(codes.toSorted((a, b) => a - b), [6003, 9103, 9106, 9109, 10000])
  })

  it("retries what is the API's fault, and waits where the quota is used up", () => {
    for (const name of names) {
      const { category, status } = apiErrors[name]
      assert.strictEqual(category === "retry", status >= 500, name)
      assert.strictEqual(category === "wait", status === 429, name)
      assert.strictEqual(category === "absent", status === 404, name)
    }
  })
})
