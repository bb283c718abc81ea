import { type ChildProcess, type ChildProcessError, spawn } from "@origin-regions/testkit/ChildProcess"
import { buildJavaProgram } from "@origin-regions/testkit/JavaProgram"
import type { KafkaBrokerError } from "@origin-regions/testkit/KafkaBrokerError"
import type { Leash } from "@origin-regions/testkit/Leash"
import { Effect, type Scope } from "effect"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { printError } from "../ScriptRuntime.ts"

/** What is compared. */
export interface System {
  readonly title: string
  /** What tells from outside how far it is: outcomes, or, where it has none, calls to the API, or the offsets that its group commits. */
  readonly progress: "outcomes" | "calls" | "offsets"
  /** Brings what it needs on top of what we have, or fails with why it can't be had here. */
  readonly prepare: Effect.Effect<Program, KafkaBrokerError, Leash>
}

/** How it is run, as a process of its own. */
export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}

/** The consumer as it is in this checkout. */
const consumer = NodePath.join(root, "apps/consumer/src/main.ts")

/** With another consumer in its place, such as one that is published. */
export const measuring = (main: string, { args, ...program }: Program): Program => ({
  ...program,
  args: args.map((arg) => arg === consumer ? main : arg)
})

const ours = (delivery: "exactly-once" | "at-least-once", batchSize = 1): System => ({
  title: `origin-regions, ${delivery}${batchSize === 1 ? "" : ", in batches"}`,
  progress: "outcomes",
  prepare: Effect.succeed({
    command: process.execPath,
    args: [consumer],
    environment: { DELIVERY: delivery, API_BATCH_SIZE: String(batchSize) }
  })
})

const contenders = NodePath.join(import.meta.dirname, "contenders")

const contender = (title: string, file: string, progress: System["progress"] = "outcomes"): System => ({
  title,
  progress,
  prepare: Effect.succeed({ command: process.execPath, args: [NodePath.join(contenders, file)] })
})

const parallelConsumer: System = {
  title: "parallel-consumer (Java)",
  progress: "outcomes",
  prepare: Effect.map(
    buildJavaProgram({
      name: "parallel-consumer",
      project: NodePath.join(contenders, "parallel-consumer"),
      progress: printError
    }),
    ({ args, command }) => ({ command, args: [...args, "ParallelConsumer"] })
  )
}

/** By the name that the command line has for it. */
export const systems = {
  "exactly-once": ours("exactly-once"),
  "at-least-once": ours("at-least-once"),
  "exactly-once-batches": ours("exactly-once", 100),
  "at-least-once-batches": ours("at-least-once", 100),
  "bare-loop": contender("kafkajs + undici, bare loop", "BareLoop.ts"),
  "each-batch": contender("kafkajs eachBatch + p-limit", "EachBatch.ts"),
  "parallel-consumer": parallelConsumer,
  "each-message": contender("kafkajs eachMessage + fetch", "EachMessage.ts"),
  "undici-alone": contender("undici alone, no Kafka", "UndiciAlone.ts", "calls"),
  "read-only": contender("kafkajs, reading only", "ReadOnly.ts", "offsets")
} as const

export type SystemName = keyof typeof systems

export const systemNames = Object.keys(systems) as ReadonlyArray<SystemName>

/** Runs it with these settings and nothing else of our environment. */
export const startProgram = (
  { args, command, environment }: Program,
  settings: Readonly<Record<string, string>>
): Effect.Effect<ChildProcess, ChildProcessError, Scope.Scope | Leash> =>
  spawn({
    command,
    args,
    directory: root,
    environment: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      JAVA_HOME: process.env["JAVA_HOME"],
      // Nobody has it who starts a program for the first time.
      NODE_COMPILE_CACHE: undefined,
      ...settings,
      ...environment
    }
  })
