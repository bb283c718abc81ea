import type { Mapping } from "@origin-regions/domain/Mapping"
import { stringify } from "csv-stringify/sync"

/** How mappings are written for others to read. */
export const exportFormats = ["jsonl", "csv", "terraform"] as const
export type ExportFormat = typeof exportFormats[number]

const COLUMNS = ["zone_id", "ip", "vendor", "region", "modified_on"] as const

const row = ({ modified_on, origin_ip, region, vendor, zone_id }: Mapping) => ({
  zone_id,
  ip: origin_ip,
  vendor,
  region,
  modified_on
})

/** A text in Terraform's language. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll(/[$%](?=\{)/g, "$&$&")

const RESOURCE = "cloudflare_origin_cloud_region"

/** One resource for all mappings of the zone, and the blocks that import each into the state: planned, nothing is to be changed. */
const terraform = (zone: string, mappings: ReadonlyArray<Mapping>): string => {
  const name = `zone_${zone}`
  return [
    `resource "${RESOURCE}" "${name}" {`,
    "  for_each = {",
    ...mappings.map(({ origin_ip, region, vendor }) =>
      `    ${quoted(origin_ip)} = { vendor = ${quoted(vendor)}, region = ${quoted(region)} }`
    ),
    "  }",
    "",
    `  zone_id   = ${quoted(zone)}`,
    "  origin_ip = each.key",
    "  vendor    = each.value.vendor",
    "  region    = each.value.region",
    "}",
    ...mappings.flatMap(({ origin_ip }) => [
      "",
      "import {",
      `  to = ${RESOURCE}.${name}[${quoted(origin_ip)}]`,
      `  id = ${quoted(`${zone}/${origin_ip}`)}`,
      "}"
    ])
  ].join("\n")
}

/** All mappings of a zone as a text; empty where there is nothing to write. */
export const exportText = (format: ExportFormat, zone: string, mappings: ReadonlyArray<Mapping>): string =>
  format === "terraform"
    ? terraform(zone, mappings)
    : format === "csv"
    ? stringify([COLUMNS, ...mappings.map((mapping) => COLUMNS.map((column) => row(mapping)[column]))]).trimEnd()
    : mappings.map((mapping) => JSON.stringify(row(mapping))).join("\n")
