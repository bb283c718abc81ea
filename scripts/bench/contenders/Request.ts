import type { KafkaMessage, Message } from "kafkajs"
import { randomUUID } from "node:crypto"
import * as Settings from "./Settings.ts"

/** A mapping request, as far as the contenders look at it. */
export interface Request {
  readonly key: string
  readonly id: string
  readonly data: { readonly zone_id: string; readonly ip: string; readonly vendor: string; readonly region: string }
}

/** What the API answers to an upsert. */
export interface Answer {
  readonly result: { readonly value: ReadonlyArray<Readonly<Record<string, string>>> }
}

export const readRequest = ({ key, value }: KafkaMessage): Request => ({
  ...JSON.parse(String(value)) as Pick<Request, "id" | "data">,
  key: String(key)
})

const base = Settings.apiBase()

export const urlOf = ({ data }: Request): string => `${base}/zones/${data.zone_id}/cache/origin_cloud_regions`

export const bodyOf = ({ data: { ip, region, vendor } }: Request): string => JSON.stringify({ ip, vendor, region })

export const headers = {
  accept: "application/json",
  "content-type": "application/json",
  authorization: "Bearer none"
}

/** The event that says what became of a request: a CloudEvent, with the request's id in a header, too. */
export const outcomeOf = ({ data, id, key }: Request, { result }: Answer): Message => {
  const time = new Date().toISOString()
  const outcome = {
    specversion: "1.0",
    id: randomUUID(),
    source: "/bench/contender",
    type: "dev.origin-regions.mapping.succeeded.v1",
    subject: key,
    time,
    causationid: id,
    data: { request: { id }, mapping: { zone_id: data.zone_id, ...result.value[0] } }
  }
  return {
    key,
    value: JSON.stringify(outcome),
    headers: { "content-type": "application/cloudevents+json", ce_causationid: id, ce_time: time }
  }
}
