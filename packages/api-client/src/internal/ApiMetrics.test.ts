import { assert, describe, it } from "@effect/vitest"
import { urlTemplateOf } from "./ApiMetrics.ts"

describe("urlTemplateOf", () => {
  it("leaves out whatever there can be many of", () => {
    const paths = [
      "/client/v4/zones/0a1b/cache/origin_cloud_regions",
      "/zones/0a1b/origin/cloud_regions?page=2&per_page=100",
      "/zones/0a1b/origin/cloud_regions/192.0.2.1",
      "/a/zones/b/zones/0a1b/cache/origin_cloud_regions/2001:db8::1",
      "/zones/0a1b/cache/origin_cloud_regions/batch",
      "/zones/0a1b/origin/cloud_regions/supported_regions"
    ]
    assert.deepStrictEqual(paths.map(urlTemplateOf), [
      "/zones/{zone_id}/cache/origin_cloud_regions",
      "/zones/{zone_id}/origin/cloud_regions",
      "/zones/{zone_id}/origin/cloud_regions/{origin_ip}",
      "/zones/{zone_id}/cache/origin_cloud_regions/{origin_ip}",
      "/zones/{zone_id}/cache/origin_cloud_regions/batch",
      "/zones/{zone_id}/origin/cloud_regions/supported_regions"
    ])
  })
})
