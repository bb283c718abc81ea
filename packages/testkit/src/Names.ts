import { ZoneId } from "@origin-regions/domain/ZoneId"
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"

// From the system's randomness and not Effect's `Random`: a seeded test must not meet its own earlier run on a shared broker.
const unique = Effect.sync(() => SecureRandom.uuidV4Unsafe().replaceAll("-", ""))

/** A topic name that no other test has. */
export const uniqueTopic: Effect.Effect<string> = Effect.map(unique, (id) => `topic-${id}`)

/** A consumer group id that no other test has. */
export const uniqueGroup: Effect.Effect<string> = Effect.map(unique, (id) => `group-${id}`)

/** A zone that no other test has. */
export const uniqueZoneId: Effect.Effect<ZoneId> = Effect.map(unique, (id) => ZoneId.make(id))

/** A bearer token that nobody could guess. */
export const uniqueToken: Effect.Effect<string> = Effect.map(unique, (id) => `token-${id}`)
