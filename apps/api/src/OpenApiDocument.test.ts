import { assert, describe, it } from "@effect/vitest"
import { openApiGeneration1, openApiGeneration2 } from "./OpenApiDocument.ts"

const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"] as const

describe.each([
  {
    name: "openApiGeneration1",
    generate: openApiGeneration1,
    base: "/client/v4/zones/{zone_id}/cache/origin_cloud_regions",
    expected: [
      "delete /batch",
      "delete /{origin_ip}",
      "get ",
      "get /supported_regions",
      "get /{origin_ip}",
      "patch ",
      "patch /batch",
      "post "
    ]
  },
  {
    name: "openApiGeneration2",
    generate: openApiGeneration2,
    base: "/client/v4/zones/{zone_id}/origin/cloud_regions",
    expected: [
      "delete /batch",
      "delete /{origin_ip}",
      "get ",
      "get /supported_regions",
      "get /{origin_ip}",
      "put /batch",
      "put /{origin_ip}"
    ]
  }
])("$name", ({ base, expected, generate }) => {
  const document = generate()
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      return operation === undefined ? [] : [{ path, method, operation }]
    })
  )

  it("has every operation of its generation", () => {
    assert.deepStrictEqual(
      operations.map(({ method, path }) => `${method} ${path.replace(base, "")}`).toSorted(),
      expected
    )
  })

  it("asks every operation for a credential and a well-formed zone id", () => {
    for (const { operation } of operations) {
      assert.deepStrictEqual(operation.security, [{ api_token: [] }, { api_email: [], api_key: [] }])
      const zoneId = operation.parameters.find(({ name }) => name === "zone_id")
      assert.nestedPropertyVal(zoneId, "schema.pattern", "^[A-Za-z0-9_-]{1,32}$")
    }
  })

  it("says of every operation that it can be refused, limited or fail", () => {
    for (const { operation } of operations) {
      assert.includeMembers(Object.keys(operation.responses), ["200", "400", "403", "429", "500"])
    }
  })

  it("is the same each time", () => {
    assert.strictEqual(JSON.stringify(generate()), JSON.stringify(document))
  })
})
