import type { FinalSettlement } from "@origin-regions/domain/MappingOutcome"
import type { ReadRequest } from "@origin-regions/domain/RequestReader"
import { hash } from "node:crypto"

/** A request that has been settled for good. What became of it is not known where an owner of the partition before us has settled it: its outcome tells. */
export interface RememberedRequest {
  readonly offset: number
  /** The record's, in milliseconds since 1970. */
  readonly timestamp: number
  settlement: FinalSettlement | undefined
}

/**
 * What makes two requests the same: their source, their id (CloudEvents 1.0: together they identify an event) and what they ask for. One that asks for something else
 * under the same id is another request. `undefined` for what is decided by reading alone.
 */
export const identityOf = ({ event, verdict }: ReadRequest): string | undefined =>
  verdict._tag === "Apply"
    ? hash("sha1", JSON.stringify([event.source, event.id, verdict.change]), "base64url")
    : undefined

/**
 * The last requests of a partition that have been settled, for when one comes again: an emitter that has not heard whether its request was taken sends it once more. Thrown away with the
 * partition's assignment; the next owner reads the same records again.
 */
export class RequestMemory {
  readonly #settled = new Map<string, RememberedRequest>()
  /** How many it keeps. */
  size: number

  constructor(size: number) {
    this.size = size
  }

  remember(identity: string, settled: RememberedRequest): void {
    this.#settled.delete(identity)
    this.#settled.set(identity, settled)
    for (const oldest of this.#settled.keys()) {
      if (this.#settled.size <= this.size) break
      this.#settled.delete(oldest)
    }
  }

  /** The request that was the same, before this offset. */
  before(identity: string, offset: number): RememberedRequest | undefined {
    const settled = this.#settled.get(identity)
    return settled !== undefined && settled.offset < offset ? settled : undefined
  }

  forget(identity: string): void {
    this.#settled.delete(identity)
  }
}
