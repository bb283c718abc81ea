import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import { promisify } from "node:util"

/** Whether `limitFileSizes` works here: on Linux, with util-linux. */
export const canLimitFileSizes: boolean = process.platform === "linux" &&
  spawnSync("prlimit", ["--version"]).status === 0

/**
 * Bounds how large the files of a running process can grow, in bytes; `undefined` lifts the bound. Writing beyond it fails, which is as near as one comes to a
 * full disk without owning a disk. Nothing where the process has gone.
 */
export const limitFileSizes = (pid: number, bytes: number | undefined): Effect.Effect<void> =>
  Effect.promise(() =>
    // Only the soft limit: without privileges the hard one can't be raised again.
    promisify(execFile)("prlimit", ["--pid", String(pid), `--fsize=${bytes ?? "unlimited"}:`]).then(
      () => {},
      (error: unknown) => {
        if (!String(error).includes("No such process")) throw error
      }
    )
  )
