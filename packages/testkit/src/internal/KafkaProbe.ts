import { Effect } from "effect"
import { int32, type KafkaAddress, type KafkaRequest, request, string } from "./KafkaRequest.ts"

interface Check {
  readonly request: KafkaRequest
  /** What the answer says is not ready yet, if anything. */
  readonly complaint: (answer: Buffer) => string | undefined
}

const errorAt = (name: string, offset: (answer: Buffer) => number): Check["complaint"] => (answer) => {
  const code = answer.readInt16BE(offset(answer))
  return code === 0 ? undefined : `${name} answers with error ${code}`
}

const group = "origin-regions-testkit-probe"

/**
 * A broker that knows itself (Metadata), and whose group coordinator is found and has loaded (FindCoordinator, which on
 * a new broker creates the coordinator's topic, and OffsetFetch). Without the last two, the first group's first steps fail.
 */
const checks: ReadonlyArray<Check> = [
  {
    request: { apiKey: 3, apiVersion: 1, body: int32(0) },
    complaint: (answer) => answer.readInt32BE(0) > 0 ? undefined : "Metadata lists no broker"
  },
  {
    request: { apiKey: 10, apiVersion: 1, body: Buffer.concat([string(group), Buffer.from([0])]) },
    complaint: errorAt("FindCoordinator", () => 4)
  },
  {
    request: { apiKey: 9, apiVersion: 2, body: Buffer.concat([string(group), int32(-1)]) },
    complaint: errorAt("OffsetFetch", (answer) => answer.length - 2)
  }
]

const passes = (checks: ReadonlyArray<Check>) => (address: KafkaAddress): Effect.Effect<void, string> =>
  Effect.forEach(checks, ({ complaint, request: question }) =>
    Effect.flatMap(request(address, question), (answer) => {
      const problem = complaint(answer)
      return problem === undefined ? Effect.void : Effect.fail(problem)
    }), { discard: true })

/** One try; fails with a clause that says what is not ready. */
export const probe = passes(checks)

/** The same of a broker among others, where another may have the group. */
export const probeMember = passes(checks.slice(0, 1))
