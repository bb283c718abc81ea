import { assert, describe, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { collectedBy, makeOtlpCollector } from "@origin-regions/testkit/OtlpCollector"
import { Context, Effect, Layer } from "effect"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"

describe("The traces of the API", () => {
  it.live("go on from the client's, for requests to operations and nothing else", () =>
    Effect.gen(function*() {
      const collector = yield* makeOtlpCollector
      const layer = Api.layerWith({ environment: { ...collectedBy(collector), API_FAULTS: "true" } })
      const api = Context.get(yield* Layer.build(layer), Api)
      const send = (path: string, headers: Readonly<Record<string, string>> = {}, body?: unknown) =>
        Effect.promise(async () => {
          const response = await fetch(new URL(path, api.baseUrl), {
            method: body === undefined ? "GET" : "PUT",
            headers: { authorization: `Bearer ${api.token}`, ...headers },
            body: body === undefined ? null : JSON.stringify(body)
          })
          await response.arrayBuffer()
          return response
        })
      const mapping = "/client/v4/zones/zone/origin/cloud_regions/192.0.2.1"
      for (const path of ["/health", "/metrics", "/docs", "/audit", "/nowhere"]) yield* send(path)
      yield* send(mapping, { traceparent: `00-${traceId}-${spanId}-00` })
      const missing = yield* send(`${mapping}?secret=s3cret`, {
        traceparent: `00-${traceId}-${spanId}-01`,
        tracestate: "vendor=1",
        "user-agent": "x".repeat(1_000)
      })
      assert.strictEqual(missing.status, 404)
      yield* send("/faults", {}, { seed: 1, rules: [{ fault: { type: "error", status: 503, when: "before" } }] })
      const failed = yield* send(mapping, {}, { origin_ip: "192.0.2.1", vendor: "aws", region: "us-east-1" })
      assert.strictEqual(failed.status, 503)
      yield* api.stop

      const route = "/client/v4/zones/{zone_id}/origin/cloud_regions/{origin_ip}"
      assert.deepStrictEqual(
        collector.spans.map(({ kind, name, parentSpanId, service, status, traceState }) => ({
          kind,
          name,
          parentSpanId,
          service,
          status,
          traceState
        })),
        [
          {
            kind: 2,
            name: `GET ${route}`,
            parentSpanId: spanId,
            service: "origin-regions-api",
            status: { code: 0 },
            traceState: "vendor=1"
          },
          {
            kind: 2,
            name: `PUT ${route}`,
            parentSpanId: undefined,
            service: "origin-regions-api",
            status: { code: 2, message: "answered with 503" },
            traceState: undefined
          }
        ]
      )
      const [first, second] = collector.spans
      assert.isDefined(first)
      assert.strictEqual(first.traceId, traceId)
      assert.deepStrictEqual(first.attributes, {
        "http.request.method": "GET",
        "http.route": route,
        "url.scheme": "http",
        "url.path": mapping,
        "user_agent.original": "x".repeat(256),
        "http.response.header.x-request-id": [missing.headers.get("x-request-id")],
        zone_id: "zone",
        "http.response.status_code": 404
      })
      assert.strictEqual(second?.attributes["error.type"], "503")
    }))
})
