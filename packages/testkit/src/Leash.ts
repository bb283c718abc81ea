import { Context, Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** What can be held: a process by its id, a container by its name, a directory by its path. */
export type Leashed =
  | { readonly _tag: "Process"; readonly pid: number }
  | { readonly _tag: "Container"; readonly name: string }
  | { readonly _tag: "Directory"; readonly path: string }

/** One line from us to the leash's process. */
export type LeashMessage =
  | { readonly _tag: "Hold"; readonly key: number; readonly leashed: Leashed }
  | { readonly _tag: "Release"; readonly key: number }

/**
 * Ends what we started if we are killed in a way that leaves no time to clean up (SIGKILL, out of memory).
 *
 * A small process of its own session holds the read end of a pipe; the operating system closes the pipe when we die,
 * and the process then ends all that is still held. Nothing stands between us and what we hold, so signals reach it as they would without.
 */
export class Leash extends Context.Service<Leash, {
  /** Holds until the returned function is called. Synchronous: no moment passes between a spawn and its hold. */
  readonly hold: (leashed: Leashed) => () => void
}>()("@origin-regions/testkit/Leash") {
  static readonly layer = Layer.effect(
    Leash,
    Effect.gen(function*() {
      const { stdin } = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const child = spawn(
            process.execPath,
            [fileURLToPath(new URL("./internal/LeashProcess.ts", import.meta.url))],
            {
              detached: true,
              stdio: ["pipe", "ignore", "ignore"]
            }
          )
          child.unref()
          // Somebody ended the leash: what we hold is then released by our finalizers alone.
          child.on("error", () => {})
          child.stdin.on("error", () => {})
          return child
        }),
        (child) =>
          Effect.callback<void>((resume) => {
            if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
            child.ref()
            child.once("exit", () => resume(Effect.void))
            child.stdin.end()
          })
      )
      let lastKey = 0
      const send = (message: LeashMessage) => stdin.write(`${JSON.stringify(message)}\n`)
      return Leash.of({
        hold: (leashed) => {
          const key = ++lastKey
          send({ _tag: "Hold", key, leashed })
          return () => send({ _tag: "Release", key })
        }
      })
    })
  )
}
