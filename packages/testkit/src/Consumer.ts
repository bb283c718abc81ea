import { Effect, type Scope } from "effect"
import type { ChildProcessError } from "./ChildProcess.ts"
import { type ServerProcess, spawnServer } from "./internal/ServerProcess.ts"
import type { Leash } from "./Leash.ts"

/** The real consumer, as a process of its own. */
export interface Consumer
  extends Pick<ServerProcess, "address" | "exit" | "kill" | "lines" | "pid" | "ready" | "terminate">
{
  /** SIGSTOP: it stands still, as on a machine that is starved or suspended. */
  readonly pause: Effect.Effect<void>
  /** SIGCONT: it goes on where it stood. */
  readonly resume: Effect.Effect<void>
}

/**
 * Spawns the consumer with these settings and nothing else of our environment; it may still be starting, or refuse to. `root` is where its sources are, if
 * not in this repository.
 */
export const spawn: (
  environment: Readonly<Record<string, string>>,
  root?: string
) => Effect.Effect<Consumer, ChildProcessError, Scope.Scope | Leash> = Effect.fnUntraced(function*(environment, root) {
  const { address, exit, kill, lines, pid, ready, signal, terminate } = yield* spawnServer({
    name: "The consumer",
    entry: "apps/consumer/src/main.ts",
    root,
    environment,
    readyPath: "/health/ready"
  })
  return { address, exit, kill, lines, pid, ready, terminate, pause: signal("SIGSTOP"), resume: signal("SIGCONT") }
})

/** The same, and waits until it is ready. */
export const start = (
  environment: Readonly<Record<string, string>>
): Effect.Effect<Consumer, ChildProcessError, Scope.Scope | Leash> =>
  Effect.tap(spawn(environment), ({ ready }) => ready)
