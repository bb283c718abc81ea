import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import {
  type Alteration,
  type Change,
  type StoredMapping,
  type Write,
  type WriteResult,
  ZONE_LIMIT
} from "../MappingStore.ts"

/** What is stored before any of the writes. */
export interface Stored {
  get(zoneId: ZoneId, originIp: OriginIp): StoredMapping | undefined
  count(zoneId: ZoneId): number
}

/** What comes of each write, and every alteration in its order: later ones can be of the same address. */
export interface WritePlan {
  readonly results: ReadonlyArray<WriteResult>
  readonly alterations: ReadonlyArray<Alteration>
}

/** Decides what writes do, one after the other, each as a whole or not at all. The same for every store. */
export const planWrites = (writes: ReadonlyArray<Write>, stored: Stored): WritePlan => {
  const altered = new Map<string, StoredMapping | undefined>()
  const counts = new Map<ZoneId, number>()
  const alterations: Array<Alteration> = []

  const planWrite = ({ at, author, changes, zoneId }: Write): WriteResult => {
    const ofWrite = new Map<string, Alteration>()
    const done: Array<Alteration> = []
    const befores: Array<StoredMapping | undefined> = []
    let added = 0
    for (const change of changes) {
      const originIp = addressOf(change)
      const key = keyOf(zoneId, originIp)
      const earlier = ofWrite.get(key)
      const before = earlier === undefined
        ? altered.has(key) ? altered.get(key) : stored.get(zoneId, originIp)
        : earlier.after
      befores.push(before)
      const after = afterOf(change, before)
      if (after === before) continue
      added += Number(after !== undefined) - Number(before !== undefined)
      if (before === undefined && countOf(zoneId) + added > ZONE_LIMIT) return "full"
      const alteration = { ...author, at, zoneId, originIp, before, after }
      ofWrite.set(key, alteration)
      done.push(alteration)
    }
    if (added !== 0) counts.set(zoneId, countOf(zoneId) + added)
    for (const [key, { after }] of ofWrite) altered.set(key, after)
    alterations.push(...done)
    return befores
  }

  const countOf = (zoneId: ZoneId): number => {
    const count = counts.get(zoneId) ?? stored.count(zoneId)
    counts.set(zoneId, count)
    return count
  }

  return { results: writes.map(planWrite), alterations }
}

export const addressOf = (change: Change): OriginIp =>
  change.type === "delete" ? change.originIp : change.mapping.originIp

const afterOf = (change: Change, before: StoredMapping | undefined): StoredMapping | undefined => {
  switch (change.type) {
    case "create":
      return before ?? change.mapping
    case "upsert":
      return change.mapping
    case "delete":
      return undefined
  }
}

/** Neither part can have a space. */
const keyOf = (zoneId: ZoneId, originIp: OriginIp): string => `${zoneId} ${originIp}`
