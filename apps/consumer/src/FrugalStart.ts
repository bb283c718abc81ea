import { url as debuggerUrl } from "node:inspector"

/**
 * How V8 keeps its heap small. By default it has 128 MiB for what is new, and lets garbage grow to three times of what is in use before it collects: the consumer
 * had 45 MiB in use and held 560. These can be given to a process only when it begins.
 */
const OPTIONS = ["--max-semi-space-size=16", "--heap-growing-percent=100"]

/** glibc gives each of Node's threads a heap of its own otherwise, and none of them gives anything back. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: "2" }

/** Set in the process that has begun anew, so that it does so once, whatever becomes of the options. */
const MARK = "ORIGIN_REGIONS_FRUGAL"

/** Where whoever has started us would notice: a debugger is attached to this process, and a channel to its parent does not survive. */
const isWatched = (): boolean => debuggerUrl() !== undefined || process.send !== undefined

/**
 * Begins this process anew with the options above: the same process, with the same id, files and settings, so that it makes no difference who has started it and how.
 * Does nothing where the system has no `execve` (Windows), and where the process is watched.
 */
export const startFrugally = (): void => {
  const { argv, env, execArgv, execPath } = process
  if (process.execve === undefined || process.platform === "win32" || MARK in env || isWatched()) return
  process.execve(execPath, [execPath, ...OPTIONS, ...execArgv, ...argv.slice(1)], {
    ...ENVIRONMENT,
    ...env,
    [MARK]: "1"
  })
}
