import { assert, describe, it } from "@effect/vitest"
import { field, isJsonObject } from "./JsonObject.ts"

describe("field", () => {
  it("is the object's own, and never a prototype's", () => {
    assert.strictEqual(field({ toString: 1 }, "toString"), 1)
    assert.isUndefined(field({}, "toString"))
    assert.isUndefined(field(Object.create({ id: 1 }), "id"))
    assert.deepStrictEqual(field(JSON.parse("{\"__proto__\":{\"id\":1}}"), "__proto__"), { id: 1 })
    assert.isUndefined(field(JSON.parse("{\"__proto__\":{\"id\":1}}"), "id"))
  })

  it.each([undefined, null, "text", 7, true, [[]]])("is none of what is no object: %j", (value) => {
    assert.isFalse(isJsonObject(value))
    assert.isUndefined(field(value, "length"))
  })
})
