import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import { type MappingOutcome, readOutcome } from "@origin-regions/domain/MappingOutcome"
import { spawn } from "@origin-regions/testkit/ChildProcess"
import { Leash } from "@origin-regions/testkit/Leash"
import { uniqueTopic } from "@origin-regions/testkit/Names"
import { Context, Effect, FileSystem, Layer, Option } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "./Command.ts"
import { runExternal } from "./ExternalCommand.ts"

const succeeds = (command: string, ...args: ReadonlyArray<string>) =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

/** What this machine lacks to build and run the images; CONTRIBUTING says how each is had. */
const lacking = (): string | undefined => {
  if (!succeeds("docker", "version")) return "no Docker daemon answers"
  if (!succeeds("docker", "compose", "version")) return "Docker has no Compose"
  const base = /^ARG NODE_IMAGE=(.*)$/m.exec(readFileSync(NodePath.join(root, "Dockerfile"), "utf8"))?.[1] ?? ""
  if (succeeds("docker", "image", "inspect", base) || succeeds("docker", "pull", "--quiet", base)) return undefined
  return `the image ${base} is neither here nor to be had`
}
const problem = lacking()

const project = `origin-regions-test-${process.pid}`

/** On top of compose.yaml: no ports that others could have, and nothing that outlives a killed test for long. */
const overrides = `services:
${
  ["kafka", "topics", "api", "consumer", "cli"].map((service) =>
    `  ${service}: { labels: { org.testcontainers: "true" }, ports: !reset [], restart: "no" }\n`
  ).join("")
}`

/** What compose.yaml brings up, built from this repository. */
class Composed extends Context.Service<Composed, {
  /** A directory that only this test has. */
  readonly directory: string
  readonly compose: (...args: ReadonlyArray<string>) => ReturnType<typeof runExternal>
  readonly composeArgs: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string>>
}>()("scripts/Composed") {
  static readonly layer = Layer.effect(
    Composed,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${directory}/overrides.yaml`, overrides)
      const composeArgs = [
        "compose",
        "--project-name",
        project,
        "--file",
        NodePath.join(root, "compose.yaml"),
        "--file",
        `${directory}/overrides.yaml`
      ]
      const environment = { ORIGIN_REGIONS_VERSION: "test" }
      const compose = (...args: ReadonlyArray<string>) =>
        runExternal({ directory: root, environment }, "docker", ...composeArgs, ...args)
      // What came up of it goes, also where not all did.
      yield* Effect.addFinalizer(() => Effect.orDie(compose("down", "--volumes", "--timeout", "1")))
      yield* compose("up", "--detach", "--build", "--wait", "--quiet-pull").pipe(
        Effect.tapError(() => Effect.flatMap(compose("logs", "--tail", "50"), Effect.logError))
      )
      return Composed.of({ directory, compose, composeArgs, environment })
    })
  ).pipe(Layer.provide(NodeServices.layer))
}

/** Every outcome, from the first to the last that is waited for, as the command line's container tells them. */
const outcomesUntil = <A>(stop: (outcomes: ReadonlyArray<MappingOutcome>) => Option.Option<A>) =>
  Effect.scoped(Effect.gen(function*() {
    const { composeArgs, environment } = yield* Composed
    const name = yield* uniqueTopic
    const watch = yield* spawn({
      command: "docker",
      args: [...composeArgs, "run", "--rm", "--name", name, "--no-TTY", "cli", "watch", "--from-beginning", "--json"],
      environment: { ...process.env, ...environment }
    })
    // The container outlives the command that shows what it says, which ends with it.
    yield* Effect.addFinalizer(() => Effect.ignore(runExternal({ directory: root }, "docker", "rm", "--force", name)))
    const outcomes: Array<MappingOutcome> = []
    return yield* watch.firstLine((line) => {
      const outcome = readOutcome(Buffer.from(line))
      if (Option.isSome(outcome)) outcomes.push(outcome.value)
      return stop(outcomes)
    })
  })).pipe(Effect.provide(Leash.layer))

const withId = (id: string) => (outcomes: ReadonlyArray<MappingOutcome>) =>
  Option.fromUndefinedOr(outcomes.find(({ data }) => data.request.id === id))

/** What a program in a container finds out about itself. */
const look = `
const { readFileSync, writeFileSync } = require("node:fs")
const write = (path) => { try { writeFileSync(path, ""); return "written" } catch ({ code }) { return code } }
const status = readFileSync("/proc/self/status", "utf8")
console.log(JSON.stringify({
  user: process.getuid(),
  files: ["/app/x", "/usr/x", "/tmp/x"].map(write),
  capabilities: /^CapBnd:\\s*(.*)$/m.exec(status)[1],
  newPrivileges: /^NoNewPrivs:\\s*(.*)$/m.exec(status)[1]
}))`

describe.skipIf(problem !== undefined)(
  `The containers${problem === undefined ? "" : ` (not here: ${problem})`}`,
  () => {
    layer(Layer.merge(Composed.layer, NodeServices.layer), { excludeTestServices: true, timeout: "10 minutes" })(
      (it) => {
        it.effect("come up, and answer a first request", () =>
          Effect.gen(function*() {
            const { compose } = yield* Composed
            const request = "create --id first --zone demo-shop --ip 192.0.2.44 --vendor aws --region us-east-1"
            yield* compose("run", "--rm", "--no-TTY", "cli", "emit", ...request.split(" "))
            const { outcomecode } = yield* outcomesUntil(withId("first"))
            assert.strictEqual(outcomecode, "created")
          }))

        it.effect("run as nobody special, on what they can't change, without a shell", () =>
          Effect.gen(function*() {
            const { compose } = yield* Composed
            for (const service of ["api", "consumer"]) {
              const seen = JSON.parse(yield* compose("exec", "--no-TTY", service, "node", "--eval", look))
              assert.deepStrictEqual(seen, {
                user: 1000,
                files: ["EROFS", "EROFS", service === "api" ? "written" : "EROFS"],
                capabilities: "0000000000000000",
                newPrivileges: "1"
              })
              assert.match((yield* Effect.flip(compose("exec", "--no-TTY", service, "sh"))).message, /not found/)
            }
          }))

        it.effect("are of images within 250 MB that say what they are and whether they live", () =>
          Effect.gen(function*() {
            for (const name of ["api", "cli", "consumer"]) {
              const [image] = JSON.parse(
                yield* runExternal({ directory: root }, "docker", "image", "inspect", `origin-regions/${name}:test`)
              )
              assert.isBelow(image.Size, 250e6)
              assert.strictEqual(image.Config.User, "1000:1000")
              assert.strictEqual(image.Config.Labels["org.opencontainers.image.licenses"], "Apache-2.0")
              assert.strictEqual(name === "cli", image.Config.Healthcheck === undefined)
            }
          }))

        it.effect("end in the time that they are given, and leave nothing unanswered", () =>
          Effect.gen(function*() {
            const { compose, directory } = yield* Composed
            const fs = yield* FileSystem.FileSystem
            const ids = Array.from({ length: 200 }, (_, index) => `many-${index}`)
            const requests = ids.map((id, index) =>
              JSON.stringify({
                specversion: "1.0",
                id,
                source: "/test",
                type: "dev.origin-regions.mapping.upsert.v1",
                data: { zone_id: "demo-shop", ip: `198.51.100.${index}`, vendor: "gcp", region: "europe-west1" }
              })
            )
            yield* fs.writeFileString(`${directory}/requests.jsonl`, requests.join("\n"))
            const file = ["--volume", `${directory}/requests.jsonl:/requests.jsonl:ro`]
            yield* compose("run", "--rm", "--no-TTY", ...file, "cli", "emit", "--file", "/requests.jsonl")
            // Asked to end while it works, or just after.
            yield* compose("stop", "consumer", "api")
            const ended = yield* compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}", "consumer", "api")
            assert.sameMembers(ended.trim().split("\n"), ["consumer 0", "api 0"])

            yield* compose("up", "--detach", "--wait", "--no-build")
            const answered = yield* outcomesUntil((outcomes) => {
              const codes = new Map(outcomes.map(({ data, outcomecode }) => [data.request.id, outcomecode]))
              return ids.every((id) => codes.has(id)) ? Option.some(ids.map((id) => codes.get(id))) : Option.none()
            })
            assert.deepStrictEqual([...new Set(answered)], ["upserted"])
            // The API kept what it had acknowledged.
            yield* compose(
              "run",
              "--rm",
              "--no-TTY",
              "cli",
              "emit",
              ..."create --id again --zone demo-shop --ip 192.0.2.44 --vendor aws --region us-east-1".split(" ")
            )
            assert.strictEqual((yield* outcomesUntil(withId("again"))).outcomecode, "1145")
          }))

        it.effect("can be watched by Prometheus and Grafana", () =>
          Effect.gen(function*() {
            const { compose } = yield* Composed
            const services = yield* compose("--profile", "monitoring", "config", "--services")
            assert.includeMembers(services.trim().split("\n"), ["grafana", "prometheus"])
          }))
      }
    )
  }
)
