import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { apiFailed, CALLS_OF_A_LIST, readWithinQuota } from "./CliApi.ts"
import { CommandError, WrongUsage } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { exportFormats, exportText } from "./MappingExport.ts"

const parameters = {
  zone: Argument.String("zone").pipe(Argument.withDescription("The zone's id"), Argument.withSchema(ZoneId)),
  format: Flag.Literals("format", exportFormats).pipe(
    Flag.withDescription("jsonl: one row in JSON a line; csv; terraform: a resource, and blocks that import it"),
    Flag.withDefault("jsonl")
  ),
  json: jsonFlag("The same as --format jsonl")
}

/** `origin-regions export`: all mappings of a zone, as the API has them. */
export const exportCommand = Command.make(
  "export",
  parameters,
  Effect.fn("export")(function*({ format, json, zone }) {
    if (json && format !== "jsonl") {
      return yield* new CommandError({
        reason: new WrongUsage({ problem: `Give --json or --format ${format}, not both.` })
      })
    }
    const settings = yield* ApiSettings
    const mappings = yield* OriginRegionsApi.use(({ list }) => readWithinQuota(CALLS_OF_A_LIST, list(zone))).pipe(
      Effect.mapError((error) => apiFailed(error, settings))
    )
    const text = exportText(format, zone, mappings)
    if (text !== "") yield* Console.log(text)
  })
).pipe(
  Command.withDescription([
    "Print all mappings of a zone, as the API has them.",
    "",
    "  emit --file takes JSON lines and CSV as they are, and the state that Terraform makes of the resource. What is written",
    "  meanwhile may be missing. The API's settings are the consumer's: CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL.",
    "",
    `  ${exitCodes({ 1: "the API refused, or failed" })}`
  ].join("\n")),
  Command.withShortDescription("Print all mappings of a zone"),
  Command.withExamples([
    { command: "origin-regions export demo-shop", description: "For emit --file, or jq" },
    { command: "origin-regions export demo-shop --format csv > demo-shop.csv", description: "As a table" },
    {
      command: "origin-regions export demo-shop --format terraform > origin-regions.tf",
      description: "To go on with Terraform: plan finds nothing to change"
    }
  ])
)
