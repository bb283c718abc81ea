/**
 * The program of the leash: reads what its parent holds, one JSON line each, and when the pipe closes ends all that is
 * still held, the newest first. Plain Node, because it has to be running before the thing it watches.
 */
import { rm } from "node:fs/promises"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import type { Leashed, LeashMessage } from "../Leash.ts"

const held = new Map<number, Leashed>()

// A terminal's Ctrl-C or a polite stop is for the parent; the leash goes when the pipe says so.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {})

const killProcess = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

const removeContainer = async (name: string) => {
  const { getContainerRuntimeClient } = await import("testcontainers")
  const client = await getContainerRuntimeClient()
  // The parent may have died while Docker was still creating the container: look for it a little longer.
  for (let attempt = 0; attempt < 30; attempt++) {
    try {
      await client.container.getById(name).remove({ force: true, v: true })
      return
    } catch {
      await pause(100)
    }
  }
}

const end = async (leashed: Leashed) => {
  switch (leashed._tag) {
    case "Process":
      return killProcess(leashed.pid)
    case "Container":
      return removeContainer(leashed.name)
    case "Directory":
      // What was just killed may still be writing.
      return rm(leashed.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message: LeashMessage = JSON.parse(line)
  if (message._tag === "Hold") held.set(message.key, message.leashed)
  else held.delete(message.key)
}

for (const leashed of [...held.values()].toReversed()) await end(leashed).catch(() => {})
process.exit(0)
