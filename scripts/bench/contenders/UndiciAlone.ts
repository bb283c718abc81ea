/** A floor: the same calls, by undici, from no topic and with no outcomes. */
import { setTimeout as pause } from "node:timers/promises"
import { Pool } from "undici"
import { type Answer, bodyOf, headers, type Request, urlOf } from "./Request.ts"
import * as Settings from "./Settings.ts"

const pool = new Pool(new URL(Settings.apiBase()).origin, { connections: Settings.concurrency() })
const requests = Settings.requests()
const addresses = Settings.addresses()

const requestOf = (number: number): Request => {
  const address = number % addresses
  const zone_id = `zone-${address % 16}`
  const ip = `10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`
  const region = `region-${Math.floor(number / addresses)}`
  return { key: `${zone_id}/${ip}`, id: String(number), data: { zone_id, ip, vendor: "aws", region } }
}

let next = 0

const work = async () => {
  while (next < requests) {
    const request = requestOf(next++)
    const path = new URL(urlOf(request)).pathname
    const { body } = await pool.request({ method: "PATCH", path, headers, body: bodyOf(request) })
    await body.json() as Answer
  }
}

await Promise.all(Array.from({ length: Settings.concurrency() }, work))

// What it has used is read from outside.
await pause(2 ** 31 - 1)
