import { defaulted, optional, type Setting, type Values } from "@origin-regions/settings/Setting"
import type { SettingReader } from "@origin-regions/settings/SettingReader"
import { oneOf, secret, text, webAddress } from "@origin-regions/settings/SettingType"
import { Redacted } from "effect"
import { type Sampler, samplerNames, samplerOf } from "./Sampler.ts"

/** Where traces go, and what they say of this program. */
export interface TraceSettings {
  readonly url: URL
  readonly protocol: "http/protobuf" | "http/json"
  /** They can hold the collector's credential. */
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  readonly serviceName: string
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: Sampler
}

const PAIRS = /^\s*[^\s=,]+\s*=[^,]*(,\s*[^\s=,]+\s*=[^,]*)*$/
const pairs = (example: string) => `pairs like ${example} with commas between, the values percent-encoded`
const headerPairs = pairs("name=value")

const endpointAbout = "the address of the collector (`http://collector:4318`): traces go to `/v1/traces` below it"

/** The settings of OpenTelemetry, by its names, as far as they are kept to here. `service` is the program's name, if it is told none. */
export const traceSettings = (service: string) => ({
  endpoint: optional("OTEL_EXPORTER_OTLP_ENDPOINT", webAddress, {
    meaning: `${endpointAbout}. Without it, and without the next, there are [no traces](traces.md)`,
    example: "http://otel-collector:4318",
    without: "no traces"
  }),
  tracesEndpoint: optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", webAddress, {
    meaning: "the whole address for traces, used as it is, instead",
    example: "https://collector.example.com/custom/v1/traces"
  }),
  protocol: defaulted("OTEL_EXPORTER_OTLP_PROTOCOL", oneOf(["http/protobuf", "http/json"]), {
    default: "http/protobuf",
    meaning: "how they are written. gRPC is not spoken",
    example: "http/json"
  }),
  headers: optional(
    "OTEL_EXPORTER_OTLP_HEADERS",
    secret(headerPairs, { matches: PAIRS, expected: headerPairs }),
    { meaning: "headers for the collector, such as its credential", example: "authorization=Bearer%20xyz" }
  ),
  serviceName: defaulted("OTEL_SERVICE_NAME", text("a name", /^.{1,255}$/), {
    default: service,
    meaning: "`service.name` of the traces",
    example: "edge-mappings"
  }),
  resourceAttributes: optional("OTEL_RESOURCE_ATTRIBUTES", text(pairs("key=value"), PAIRS), {
    meaning: "more of what every span says of the program",
    example: "deployment.environment.name=production,service.namespace=edge"
  }),
  sampler: defaulted("OTEL_TRACES_SAMPLER", oneOf(samplerNames), {
    default: "parentbased_always_on",
    meaning:
      "which requests are traced; `parentbased_…` keeps to what their `traceparent` says, and decides on those without",
    example: "parentbased_traceidratio"
  }),
  samplerRatio: defaulted("OTEL_TRACES_SAMPLER_ARG", text("a number from 0 to 1", /^(0|1|0?\.\d+|1\.0+|0\.\d+)$/), {
    default: "1",
    meaning: "the share of traces that `traceidratio` takes",
    example: "0.01"
  })
})

type Declared = ReturnType<typeof traceSettings>

/** What was given for them; `undefined` where there are to be no traces. */
export const readTraceSettings = (
  reader: SettingReader,
  declared: Declared,
  given: Values<Declared>
): TraceSettings | undefined => {
  const from = given.tracesEndpoint === undefined ? declared.endpoint : declared.tracesEndpoint
  const url = given.tracesEndpoint ?? (given.endpoint === undefined ? undefined : below(given.endpoint, "v1/traces"))
  if (url !== undefined && (url.username !== "" || url.password !== "")) {
    reader.problem(from, "an address without user and password: the credential goes into OTEL_EXPORTER_OTLP_HEADERS")
  }
  const headers = readPairs(
    reader,
    declared.headers,
    given.headers === undefined ? "" : Redacted.value(given.headers)
  )
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^`|~\w-]+$/.test(name) || !/^[\t -~]*$/.test(value)) {
      reader.problem(declared.headers, "names and values that can stand in a header", `${name}=${value}`)
    }
  }
  const { "service.name": ownName, ...resource } = readPairs(
    reader,
    declared.resourceAttributes,
    given.resourceAttributes ?? ""
  )
  if (url === undefined) return undefined
  return {
    url,
    protocol: given.protocol,
    headers: Redacted.make(headers, { label: declared.headers.name }),
    serviceName: reader.isSet(declared.serviceName) ? given.serviceName : ownName ?? given.serviceName,
    resource,
    sampler: samplerOf(given.sampler, Number(given.samplerRatio))
  }
}

const below = (url: URL, path: string): URL => {
  const longer = new URL(url)
  longer.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`
  return longer
}

/** As OpenTelemetry writes them: `key=value`, with commas between, percent-encoded. */
const readPairs = (reader: SettingReader, setting: Setting<unknown>, text: string): Record<string, string> => {
  const read = new Map<string, string>()
  for (const pair of text === "" ? [] : text.split(",")) {
    const equals = pair.indexOf("=")
    try {
      read.set(pair.slice(0, equals).trim(), decodeURIComponent(pair.slice(equals + 1).trim()))
    } catch {
      reader.problem(setting, setting.type.expected, pair)
    }
  }
  return Object.fromEntries(read)
}
