/**
 * The API's generation 1 as far as an upsert needs it, with next to no cost of its own: every upsert succeeds, so many milliseconds after it came
 * (`LATENCY`). Keeps nothing but the number of upserts of each address, which `/upserts` tells.
 */
import { createServer, type ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import { setTimeout as pause } from "node:timers/promises"

const latency = Number(process.env["LATENCY"])
const counts = new Map<string, number>()

const answer = (response: ServerResponse, body: string) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body)
}

const upserted = ({ ip, region, vendor }: Readonly<Record<string, string>>): string => {
  const modified_on = new Date().toISOString()
  const value = [{ "origin-ip": ip, vendor, region, modified_on }]
  const result = { id: "origin_public_cloud_region", editable: true, modified_on, value }
  return JSON.stringify({ success: true, errors: [], messages: [], result })
}

const server = createServer((request, response) => {
  if (request.url === "/upserts") return answer(response, JSON.stringify([...counts.values()]))
  if (request.method !== "PATCH") return answer(response, "{}")
  void text(request).then(async (json) => {
    const mapping = JSON.parse(json) as Readonly<Record<string, string>>
    const address = `${request.url} ${mapping["ip"]}`
    counts.set(address, (counts.get(address) ?? 0) + 1)
    if (latency > 0) await pause(latency)
    answer(response, upserted(mapping))
  })
})

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`)
})

process.on("SIGTERM", () => server.close(() => process.exit()).closeAllConnections())
