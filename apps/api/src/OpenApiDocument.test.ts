import { assert, describe, it } from "@effect/vitest"
import { openApiGeneration1 } from "./OpenApiDocument.ts"

describe("openApiGeneration1", () => {
  const document = openApiGeneration1()
  const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"] as const
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      return operation === undefined ? [] : [{ path, method, operation }]
    })
  )

  it("has every operation of generation 1", () => {
    const base = "/client/v4/zones/{zone_id}/cache/origin_cloud_regions"
    assert.deepStrictEqual(
      operations.map(({ method, path }) => `${method} ${path}`).toSorted(),
      [
        `delete ${base}/{origin_ip}`,
        `get ${base}`,
        `get ${base}/supported_regions`,
        `get ${base}/{origin_ip}`,
        `patch ${base}`,
        `post ${base}`
      ]
    )
  })

  it("asks every operation for a credential and a well-formed zone id", () => {
    for (const { operation } of operations) {
      assert.deepStrictEqual(operation.security, [{ api_token: [] }, { api_email: [], api_key: [] }])
      const zoneId = operation.parameters.find(({ name }) => name === "zone_id")
      assert.nestedPropertyVal(zoneId, "schema.pattern", "^[A-Za-z0-9_-]{1,32}$")
    }
  })

  it("is the same each time", () => {
    assert.strictEqual(JSON.stringify(openApiGeneration1()), JSON.stringify(document))
  })
})
