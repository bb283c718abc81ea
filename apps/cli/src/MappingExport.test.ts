import { assert, describe, it } from "@effect/vitest"
import type { Mapping } from "@origin-regions/domain/Mapping"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { exportText } from "./MappingExport.ts"

const zone = ZoneId.make("023e-shop")
const mapping = (ip: string, region: string): Mapping => ({
  zone_id: zone,
  origin_ip: OriginIp.make(ip),
  vendor: "aws",
  region,
  modified_on: "2026-11-24T12:00:00.110Z"
})
const mappings = [mapping("192.0.2.1", "us-east-1"), mapping("2001:db8::1", "a \"b\", ${c}")]

describe("exportText", () => {
  it("writes rows that emit reads", () => {
    assert.strictEqual(
      exportText("jsonl", zone, mappings).split("\n")[0],
      "{\"zone_id\":\"023e-shop\",\"ip\":\"192.0.2.1\",\"vendor\":\"aws\",\"region\":\"us-east-1\",\"modified_on\":\"2026-11-24T12:00:00.110Z\"}"
    )
    assert.deepStrictEqual(exportText("csv", zone, mappings).split("\n"), [
      "zone_id,ip,vendor,region,modified_on",
      "023e-shop,192.0.2.1,aws,us-east-1,2026-11-24T12:00:00.110Z",
      "023e-shop,2001:db8::1,aws,\"a \"\"b\"\", ${c}\",2026-11-24T12:00:00.110Z"
    ])
    assert.strictEqual(exportText("jsonl", zone, []), "")
  })

  it("writes a resource for Terraform with an import of each mapping", () => {
    const text = exportText("terraform", zone, mappings)
    assert.match(
      text,
      /^resource "cloudflare_origin_cloud_region" "zone_023e-shop" \{\n {2}for_each = \{\n {4}"192\.0\.2\.1" = \{ vendor = "aws", region = "us-east-1" \}\n/
    )
    assert.include(text, "region = \"a \\\"b\\\", $${c}\"")
    assert.match(
      text,
      /\n\nimport \{\n {2}to = cloudflare_origin_cloud_region\.zone_023e-shop\["2001:db8::1"\]\n {2}id = "023e-shop\/2001:db8::1"\n\}$/
    )
  })
})
