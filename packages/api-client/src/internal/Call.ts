import type { OriginIp } from "@origin-regions/domain/OriginIp"
import type { Effect } from "effect"
import type { ApiError } from "../ApiError.ts"
import type { BatchItem, OriginRegionsApi } from "../OriginRegionsApi.ts"
import type { HttpRequest } from "./HttpTransport.ts"

/** One call, and how its answer is read. `promised` names what a success must hold, for the error where `readResult` finds none. */
export interface ApiCall<A> {
  readonly method: HttpRequest["method"]
  readonly path: string
  readonly body?: unknown
  readonly promised: string
  readonly readResult: (result: unknown, envelope: { readonly [field: string]: unknown }) => A | undefined
  /** Makes the envelope of the body, where that needs not be all of it. */
  readonly parse?: (body: Buffer) => unknown
}

export interface Caller {
  readonly call: <A>(call: ApiCall<A>) => Effect.Effect<A, ApiError>
  /** How often this process has been stopped or starved for so long that what it had read may long be otherwise. */
  readonly standstills: () => number
  /** How many calls the quota has room for. */
  readonly spare: () => number
  /** The monotonic clock. */
  readonly steadyMillis: () => number
}

/** The API's operations as one of its generations puts them on the wire. */
export type Operations = Omit<OriginRegionsApi["Service"], "clock" | "probe" | "quota">

export type BatchItems = ReadonlyMap<OriginIp, BatchItem>
