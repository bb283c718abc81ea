import type { ApiError } from "@origin-regions/api-client/ApiError"
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { type MappingAddress, OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { SupportedRegions } from "@origin-regions/api-client/SupportedRegions"
import type { Mapping } from "@origin-regions/domain/Mapping"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { Region } from "@origin-regions/domain/Region"
import { Vendor } from "@origin-regions/domain/Vendor"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { apiFailed, CALLS_OF_A_LIST, readWithinQuota, withinQuota } from "./CliApi.ts"
import type { CommandError } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { textColumns } from "./TextColumns.ts"

/** Generation 2 looks before it creates or deletes. */
const CALLS_OF_A_WRITE = 2

const zone = Argument.String("zone").pipe(Argument.withDescription("The zone's id"), Argument.withSchema(ZoneId))
const ip = Argument.String("ip").pipe(
  Argument.withDescription("The origin's address, in any spelling"),
  Argument.filterMap((text) => Option.fromUndefinedOr(canonicalize(text)), () => "an IPv4 or IPv6 address")
)
const vendor = Argument.Literals("vendor", Vendor.schema.literals).pipe(
  Argument.withDescription("The cloud"),
  Argument.map((name) => Vendor.make(name))
)
const region = Argument.String("region").pipe(
  Argument.withDescription("The cloud's own name for the region"),
  Argument.withSchema(Region)
)
const json = jsonFlag("Print the answer in JSON")

const row = ({ modified_on, origin_ip, region, vendor, zone_id }: Mapping) => [
  `${zone_id}/${origin_ip}`,
  vendor,
  region,
  modified_on ?? ""
]

const mappingText = (mapping: Mapping): string => textColumns([row(mapping)]).join("\n")

/** Makes the call, and prints what the API answers. */
const answer = Effect.fnUntraced(function*<A>(
  asJson: boolean,
  text: (answer: A) => string,
  call: (api: OriginRegionsApi["Service"]) => Effect.Effect<A, ApiError, OriginRegionsApi>
): Effect.fn.Return<void, CommandError, ApiSettings | OriginRegionsApi> {
  const settings = yield* ApiSettings
  const answered = yield* OriginRegionsApi.use(call).pipe(
    Effect.mapError((error) => apiFailed(error, settings)),
    Effect.tapError(({ reason }) =>
      asJson && reason._tag === "ApiFailed"
        ? Console.log(
          JSON.stringify({ error: { name: reason.name, code: reason.code ?? null, message: reason.problem } }, null, 2)
        )
        : Effect.void
    )
  )
  yield* Console.log(asJson ? JSON.stringify(answered, null, 2) : text(answered))
})

const describe = (what: string): string =>
  `${what}\n\n  ${exitCodes({ 1: "the API refused, or failed; --json prints its code and message too" })}`

const addressOf = (
  { ip, zone }: { readonly zone: ZoneId; readonly ip: MappingAddress["origin_ip"] }
): MappingAddress => ({
  zone_id: zone,
  origin_ip: ip
})

const getCommand = Command.make(
  "get",
  { zone, ip, json },
  Effect.fn("api get")((input) =>
    answer(input.json, mappingText, ({ get }) => readWithinQuota(1, get(addressOf(input))))
  )
).pipe(
  Command.withDescription(describe("Print the mapping of an address.")),
  Command.withShortDescription("Print the mapping of an address"),
  Command.withExamples([{ command: "origin-regions api get demo-shop 192.0.2.10 --json", description: "One mapping" }])
)

const listCommand = Command.make(
  "list",
  { zone, json },
  Effect.fn("api list")(({ json, zone }) =>
    answer(
      json,
      (mappings: ReadonlyArray<Mapping>) => textColumns(mappings.map(row)).join("\n"),
      ({ list }) => readWithinQuota(CALLS_OF_A_LIST, list(zone))
    )
  )
).pipe(
  Command.withDescription(describe("Print all mappings of a zone. For other programs, see export.")),
  Command.withShortDescription("Print all mappings of a zone"),
  Command.withExamples([{ command: "origin-regions api list demo-shop", description: "As a table" }])
)

const writes = {
  create: {
    about: "Create a mapping, where the address has none.",
    example: "origin-regions api create demo-shop 203.0.113.77 aws us-east-1"
  },
  upsert: {
    about: "Create or replace the mapping of an address.",
    example: "origin-regions api upsert demo-shop 203.0.113.77 gcp europe-west1 --json"
  }
} as const

const writeCommand = <const Name extends keyof typeof writes>(name: Name) =>
  Command.make(
    name,
    { zone, ip, vendor, region, json },
    Effect.fn(`api ${name}`)((input) =>
      answer(input.json, mappingText, (api) =>
        withinQuota(CALLS_OF_A_WRITE, api[name]({ ...addressOf(input), vendor: input.vendor, region: input.region })))
    )
  ).pipe(
    Command.withDescription(
      describe(`${writes[name].about}\n\n  It is one call, past Kafka: requests of the same address may be under way.`)
    ),
    Command.withShortDescription(writes[name].about.slice(0, -1)),
    Command.withExamples([{ command: writes[name].example, description: "One call, answered at once" }])
  )

const deleteCommand = Command.make(
  "delete",
  { zone, ip, json },
  Effect.fn("api delete")((input) =>
    answer(input.json, mappingText, (api) => withinQuota(CALLS_OF_A_WRITE, api.delete(addressOf(input))))
  )
).pipe(
  Command.withDescription(
    describe(
      "Delete the mapping of an address, and print what it was.\n\n  It is past Kafka: requests of the same address may be under way."
    )
  ),
  Command.withShortDescription("Delete the mapping of an address"),
  Command.withExamples([
    { command: "origin-regions api delete demo-shop 203.0.113.77", description: "Fails where there is none" }
  ])
)

const regionsText = ({ vendors }: SupportedRegions): string =>
  textColumns(
    Object.entries(vendors).flatMap(([vendor, regions]) =>
      regions.map(({ name, upper_tier_colos }) => [vendor, name, upper_tier_colos.join(" ")])
    )
  ).join("\n")

const regionsCommand = Command.make(
  "supported-regions",
  { zone, json },
  Effect.fn("api supported-regions")(({ json, zone }) =>
    answer(json, regionsText, ({ supportedRegions }) => readWithinQuota(1, supportedRegions(zone)))
  )
).pipe(
  Command.withDescription(
    describe("Print the vendors and regions that mappings of a zone can name, with their upper tiers.")
  ),
  Command.withShortDescription("Print the regions that there are"),
  Command.withExamples([{ command: "origin-regions api supported-regions demo-shop", description: "As a table" }])
)

/** `origin-regions api`: the API's operations by hand, past Kafka. */
export const apiCommand = Command.make("api").pipe(
  Command.withDescription([
    "The API's operations by hand, past Kafka; in whichever generation the API has.",
    "",
    "  The settings are the consumer's: CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL, API_GENERATION."
  ].join("\n")),
  Command.withShortDescription("Call the API by hand"),
  Command.withSubcommands([
    getCommand,
    listCommand,
    writeCommand("create"),
    writeCommand("upsert"),
    deleteCommand,
    regionsCommand
  ])
)
