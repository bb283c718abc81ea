import { Effect, Result } from "effect"
import { HttpRouter } from "effect/http"
import { adminRoute } from "./AdminRoute.ts"
import { badRequest, success } from "./Envelope.ts"
import { readFaultPlan } from "./FaultPlan.ts"
import { Faults } from "./Faults.ts"

/** `GET`, `PUT` and `DELETE /faults`: the plan of the faults that are injected, `null` where there is none. */
export const layer = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const { plan, set } = yield* Faults
  const admitted = yield* adminRoute("faults")
  const current = Effect.map(plan, (plan) => success({ result: plan ?? null }))
  yield* router.add("GET", "/faults", admitted(() => current))
  yield* router.add("DELETE", "/faults", admitted(() => Effect.andThen(set(undefined), current)))
  yield* router.add(
    "PUT",
    "/faults",
    admitted((request) =>
      // A body that is too large or cut off is answered where HTTP's own failures are.
      Effect.flatMap(Effect.orDie(request.text), (text) => {
        const read = readFaultPlan(text)
        return Result.isFailure(read)
          ? Effect.succeed(badRequest(read.failure))
          : Effect.andThen(set(read.success), current)
      })
    )
  )
}))
