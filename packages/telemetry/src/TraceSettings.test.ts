import { assert, describe, it } from "@effect/vitest"
import type { Environment } from "@origin-regions/settings/Environment"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { Redacted, Result } from "effect"
import { readTraceSettings, traceSettings } from "./TraceSettings.ts"

const declared = traceSettings("some-program")

const read = (environment: Environment) => {
  const reader = new SettingReader(environment)
  const settings = readTraceSettings(reader, declared, reader.readAll(declared))
  return reader.result(settings)
}

const settingsOf = (environment: Environment) => {
  const settings = Result.getOrThrow(read(environment))
  assert.isDefined(settings)
  return settings
}

const problemsOf = (environment: Environment) =>
  Result.match(read(environment), { onSuccess: () => "none", onFailure: describeProblems })

const OTEL_EXPORTER_OTLP_ENDPOINT = "http://collector:4318"

describe("The settings of traces", () => {
  it("are none where no address is given", () => {
    assert.isUndefined(Result.getOrThrow(read({ OTEL_SERVICE_NAME: "name", OTEL_TRACES_SAMPLER: "always_on" })))
  })

  it("are OpenTelemetry's, with its defaults", () => {
    const { headers, ...settings } = settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT })
    assert.deepStrictEqual(settings, {
      url: new URL("http://collector:4318/v1/traces"),
      protocol: "http/protobuf",
      serviceName: "some-program",
      resource: {},
      sampler: { isParentBased: true, ratio: 1 }
    })
    assert.deepStrictEqual(Redacted.value(headers), {})
  })

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://example.com/otlp/" }, "https://example.com/otlp/v1/traces"],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://example.com/as-it-is" },
      "http://example.com/as-it-is"
    ]
  ])("have an address for all signals, or one for traces: %j", (environment, url) => {
    assert.strictEqual(settingsOf(environment).url.href, url)
  })

  it("decode what is percent-encoded", () => {
    const { headers, resource } = settingsOf({
      OTEL_EXPORTER_OTLP_ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20YTpi, x-scope-orgid=edge",
      OTEL_RESOURCE_ATTRIBUTES: "team=edge%2Ccache,empty="
    })
    assert.deepStrictEqual(Redacted.value(headers), { authorization: "Basic YTpi", "x-scope-orgid": "edge" })
    assert.notInclude(String(headers), "YTpi")
    assert.deepStrictEqual(resource, { team: "edge,cache", empty: "" })
  })

  it("take the name of the program from either place, the one that is its own first", () => {
    const OTEL_RESOURCE_ATTRIBUTES = "service.name=of-the-resource"
    assert.strictEqual(
      settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_RESOURCE_ATTRIBUTES }).serviceName,
      "of-the-resource"
    )
    assert.strictEqual(
      settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME: "own" }).serviceName,
      "own"
    )
  })

  it("have a share of the traces where the sampler wants one", () => {
    const settings = { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER_ARG: "0.01" }
    assert.strictEqual(settingsOf({ ...settings, OTEL_TRACES_SAMPLER: "parentbased_traceidratio" }).sampler.ratio, 0.01)
    assert.strictEqual(settingsOf({ ...settings, OTEL_TRACES_SAMPLER: "always_on" }).sampler.ratio, 1)
  })

  it.each([
    { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: "http://user:s3cret@collector:4318" },
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://user:s3cret@collector:4318" },
    { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
    { OTEL_EXPORTER_OTLP_HEADERS: "s3cret" },
    { OTEL_EXPORTER_OTLP_HEADERS: "authorization=%FF-s3cret" },
    { OTEL_EXPORTER_OTLP_HEADERS: "authorization=s3cret%0A" },
    { OTEL_EXPORTER_OTLP_HEADERS: "a:b=s3cret" },
    { OTEL_RESOURCE_ATTRIBUTES: "a=%" },
    { OTEL_TRACES_SAMPLER: "sometimes" },
    { OTEL_TRACES_SAMPLER_ARG: "1.5" }
  ])("say what is wrong, and no secret: %j", (environment) => {
    const [name = ""] = Object.keys(environment)
    const problems = problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, ...environment })
    assert.match(problems, new RegExp(`^A setting is wrong:\n  ${name} `))
    assert.notInclude(problems, "s3cret")
  })
})
