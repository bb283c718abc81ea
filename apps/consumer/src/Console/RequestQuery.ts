import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Result, Schema } from "effect"

/** What is looked for. All that is given must fit; `name` fits a zone or a request's id. */
export interface RequestQuery {
  readonly zoneId?: string
  readonly originIp?: OriginIp
  readonly id?: string
  readonly name?: string
}

const isZoneId = Schema.is(ZoneId)

const howToAsk =
  "expected zone_id, ip or id, or several of them, or else text: a zone, an address, zone/address or a request's id"

const ofText = (text: string): RequestQuery => {
  const [, zoneId = "", address = ""] = /^([^/]*)\/([^/]*)$/.exec(text) ?? []
  const ofKey = canonicalize(address)
  if (ofKey !== undefined && isZoneId(zoneId)) return { zoneId, originIp: ofKey }
  const originIp = canonicalize(text)
  return originIp === undefined ? { name: text } : { originIp }
}

/** Reads what `/requests` was asked for; fails with what is wrong with it. */
export const readQuery = (parameters: URLSearchParams): Result.Result<RequestQuery, string> => {
  const unknown = [...parameters.keys()].find((name) => !["zone_id", "ip", "id", "text"].includes(name))
  if (unknown !== undefined) return Result.fail(`${unknown} is unknown: ${howToAsk}`)
  const given = (name: string) => {
    const value = parameters.get(name)?.trim()
    return value === "" ? undefined : value
  }
  const [zoneId, ip, id, text] = [given("zone_id"), given("ip"), given("id"), given("text")]
  if (text !== undefined) {
    return zoneId === undefined && ip === undefined && id === undefined
      ? Result.succeed(ofText(text))
      : Result.fail(`text goes alone: ${howToAsk}`)
  }
  if (zoneId === undefined && ip === undefined && id === undefined) {
    return Result.fail(`nothing is asked for: ${howToAsk}`)
  }
  if (zoneId !== undefined && !isZoneId(zoneId)) {
    return Result.fail("zone_id is none: expected 1 to 32 characters of A-Z a-z 0-9 _ -")
  }
  const originIp = ip === undefined ? undefined : canonicalize(ip)
  if (ip !== undefined && originIp === undefined) return Result.fail("ip is none: expected an IPv4 or IPv6 address")
  return Result.succeed({
    ...zoneId === undefined ? undefined : { zoneId },
    ...originIp === undefined ? undefined : { originIp },
    ...id === undefined ? undefined : { id }
  })
}

/** A request or an outcome, as far as it is looked for by. */
interface Identity extends Pick<ReadRequest, "zoneId" | "originIp"> {
  readonly id: string | null
}

const hasName = ({ id, zoneId }: { readonly id: string | null; readonly zoneId: string | null }, name: string) =>
  zoneId === name || id === name

/** Whether it is what is looked for. */
export const fits = (
  { id, name, originIp, zoneId }: RequestQuery,
  identity: { readonly [Field in keyof Identity]: string | null }
): boolean =>
  (zoneId === undefined || identity.zoneId === zoneId) &&
  (originIp === undefined || identity.originIp === originIp) &&
  (id === undefined || identity.id === id) &&
  (name === undefined || hasName(identity, name))
