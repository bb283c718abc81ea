import { apiErrors } from "@origin-regions/domain/ApiError"
import { OriginIp } from "@origin-regions/domain/OriginIp"
import type { ZoneId } from "@origin-regions/domain/ZoneId"
import { Deferred, Effect, Exit, type Scope } from "effect"
import { ApiError } from "../ApiError.ts"
import type { Operations } from "./Call.ts"

/** Any address will do to ask whether there is a route: this one is for documentation (RFC 5737). */
const SOME_ADDRESS = OriginIp.make("192.0.2.1")

interface Asking {
  readonly zoneId: ZoneId
  readonly answer: Deferred.Deferred<Operations, ApiError>
}

/**
 * The generation that the API speaks, found out by the first call and then remembered: generation 2 where there is one. Generation 1 is asked for again when its
 * route has gone, as it is to be switched off one day.
 *
 * A zone that the API refuses to be asked about, or that neither generation knows, tells nothing about the others: its answer is for itself alone.
 */
export const makeEitherGeneration = Effect.fnUntraced(function*(
  generation1: Operations,
  generation2: Operations
): Effect.fn.Return<Operations, never, Scope.Scope> {
  const scope = yield* Effect.scope
  let known: Operations | undefined
  let asking: Asking | undefined

  const ask = (zoneId: ZoneId): Effect.Effect<Operations, ApiError> =>
    serves(generation2, zoneId).pipe(
      Effect.flatMap((answers) =>
        answers
          ? Effect.succeed(generation2)
          : Effect.as(generation1.get({ zone_id: zoneId, origin_ip: SOME_ADDRESS }), generation1).pipe(
            Effect.catchReason("ApiError", "NotFound", () => Effect.succeed(generation1))
          )
      ),
      Effect.mapError(({ reason }) => new ApiError({ reason, beforeWrite: true }))
    )

  const find = (zoneId: ZoneId): Effect.Effect<Operations, ApiError> =>
    Effect.suspend(() => {
      if (known !== undefined) return Effect.succeed(known)
      if (asking === undefined) {
        const answer = Deferred.makeUnsafe<Operations, ApiError>()
        asking = { zoneId, answer }
        // In the scope and not in the call: others may wait for it when the call is interrupted.
        return Effect.andThen(
          Effect.forkIn(
            Effect.onExit(ask(zoneId), (exit) => {
              if (Exit.isSuccess(exit)) known = exit.value
              asking = undefined
              return Deferred.done(answer, exit)
            }),
            scope
          ),
          Deferred.await(answer)
        )
      }
      const { answer, zoneId: asked } = asking
      return Effect.catchIf(
        Deferred.await(answer),
        (error) => asked !== zoneId && error.category === "reject",
        () => find(zoneId)
      )
    })

  const use = <A>(zoneId: ZoneId, operation: (operations: Operations) => Effect.Effect<A, ApiError>) => {
    if (known === generation2) return operation(generation2)
    return Effect.flatMap(find(zoneId), (found) =>
      found === generation2
        ? operation(generation2)
        : Effect.catchIf(operation(generation1), hasNoRoute, () =>
          Effect.suspend(() => {
            if (known === generation1) known = undefined
            return Effect.flatMap(find(zoneId), operation)
          })))
  }

  return {
    create: (mapping) => use(mapping.zone_id, ({ create }) => create(mapping)),
    upsert: (mapping) => use(mapping.zone_id, ({ upsert }) => upsert(mapping)),
    delete: (address) => use(address.zone_id, (operations) => operations.delete(address)),
    get: (address) => use(address.zone_id, ({ get }) => get(address)),
    getMany: (zoneId, addresses) => use(zoneId, ({ getMany }) => getMany(zoneId, addresses)),
    list: (zoneId) => use(zoneId, ({ list }) => list(zoneId)),
    upsertMany: (zoneId, mappings) => use(zoneId, ({ upsertMany }) => upsertMany(zoneId, mappings)),
    batchesCreates: () => known?.batchesCreates() ?? false,
    createMany: (zoneId, mappings) => use(zoneId, ({ createMany }) => createMany(zoneId, mappings)),
    deleteMany: (zoneId, addresses) => use(zoneId, ({ deleteMany }) => deleteMany(zoneId, addresses)),
    supportedRegions: (zoneId) => use(zoneId, ({ supportedRegions }) => supportedRegions(zoneId))
  }
})

const serves = (generation: Operations, zoneId: ZoneId): Effect.Effect<boolean, ApiError> =>
  Effect.matchEffect(generation.get({ zone_id: zoneId, origin_ip: SOME_ADDRESS }), {
    onSuccess: () => Effect.succeed(true),
    onFailure: (error) =>
      error.reason._tag === "NotFound"
        ? Effect.succeed(true)
        : hasNoRoute(error)
        ? Effect.succeed(false)
        : Effect.fail(error)
  })

/** The path is none: of this zone, or in all zones. */
const hasNoRoute = ({ reason }: ApiError): boolean =>
  reason._tag === "Rejected" && (reason.code === apiErrors.unknown_zone.code || reason.code === apiErrors.no_route.code)
