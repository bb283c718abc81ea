import { identityOf } from "@origin-regions/consumer/RequestMemory"
import { apiErrors } from "@origin-regions/domain/ApiError"
import { type MappingKey, mappingKey } from "@origin-regions/domain/MappingKey"
import type { ReadRequest, Verdict } from "@origin-regions/domain/RequestReader"

/** A mapping's vendor and region. */
export type Place = string

export const placeOf = ({ region, vendor }: { readonly vendor: string; readonly region: string }): Place =>
  `${vendor} ${region}`

/** The regions that the workload names and the API knows. */
const KNOWN_REGIONS: ReadonlySet<Place> = new Set([
  "aws us-east-1",
  "aws eu-west-1",
  "gcp us-central1",
  "azure westeurope"
])

const codeOf = (name: keyof typeof apiErrors): string => String(apiErrors[name].code)

/** What requests come to if they are executed one after another, each once, by nobody who could fail. */
export class SequentialModel {
  readonly #places = new Map<MappingKey, Place>()
  readonly #codes = new Map<string, string>()
  readonly #looksFirst: boolean

  /** Generation 2 has no create: it looks whether there is a mapping before it asks for the region. */
  constructor(generation: 1 | 2) {
    this.#looksFirst = generation === 2
  }

  /** What each address has after all that was executed. */
  get places(): ReadonlyMap<MappingKey, Place> {
    return this.#places
  }

  /** Executes a request, if it is the first of its identity, and answers its outcome's code. */
  execute(request: ReadRequest): { readonly code: string; readonly isRepeated: boolean } {
    const identity = identityOf(request)
    const before = identity === undefined ? undefined : this.#codes.get(identity)
    if (before !== undefined) return { code: before, isRepeated: true }
    const code = this.#execute(request.verdict)
    if (identity !== undefined) this.#codes.set(identity, code)
    return { code, isRepeated: false }
  }

  #execute(verdict: Verdict): string {
    switch (verdict._tag) {
      case "Malformed":
        return "malformed_request"
      case "InvalidIp":
        return codeOf("invalid_ip")
      case "UnsupportedRegion":
        return codeOf("unsupported_region")
      case "Apply":
        return this.#apply(verdict.change)
    }
  }

  #apply(change: Extract<Verdict, { readonly _tag: "Apply" }>["change"]): string {
    const key = mappingKey(change.zoneId, change.originIp)
    if (change.operation === "delete") return this.#places.delete(key) ? "deleted" : "unchanged"
    const place = placeOf(change)
    const exists = change.operation === "create" && this.#places.has(key)
    if (exists && this.#looksFirst) return codeOf("already_exists")
    if (!KNOWN_REGIONS.has(place)) return codeOf("unsupported_region")
    if (exists) return codeOf("already_exists")
    this.#places.set(key, place)
    return change.operation === "create" ? "created" : "upserted"
  }
}
