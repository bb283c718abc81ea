import { assert, describe, it } from "@effect/vitest"
import { serveOnLoopback } from "@origin-regions/testkit/LoopbackServer"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("advisories.ts", import.meta.url))

const run = (registry: string) =>
  Effect.callback<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resume) => {
    const env = { ...process.env, pnpm_config_registry: registry, NO_COLOR: "1" }
    const child = execFile(process.execPath, [script], { env }, (_, stdout, stderr) => {
      resume(Effect.succeed({ code: child.exitCode ?? -1, stdout, stderr }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Knows one thing about one of our packages, or nothing. */
const registryWith = (severity: string | undefined, status = 200) =>
  Effect.map(
    serveOnLoopback((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(status, { "content-type": "application/json" })
        response.end(JSON.stringify(
          severity === undefined ? {} : {
            kafkajs: [{
              id: 7,
              url: "https://advisories.example/7",
              title: "It gives all away",
              severity,
              vulnerable_versions: "<99",
              cwe: []
            }]
          }
        ))
      })
    }),
    (origin) => `${origin}/`
  )

describe("npm run advisories", () => {
  it.live("fails on one of severity high or critical, and says by what the package comes in", () =>
    Effect.gen(function*() {
      for (const severity of ["high", "critical"]) {
        const { code, stderr, stdout } = yield* run(yield* registryWith(severity))
        assert.deepStrictEqual([code, stderr], [1, ""])
        assert.match(
          stdout,
          new RegExp(`^${severity}: kafkajs <99: It gives all away \\(https://advisories.example/7\\)$`, "m")
        )
        assert.match(stdout, /^ {2}\d\S+ by packages__kafka>kafkajs$/m)
        assert.match(stdout, new RegExp(`^Advisories for \\d+ packages: 1 ${severity}$`, "m"))
      }
    }))

  it.live("tells of lesser ones, and is content", () =>
    Effect.gen(function*() {
      const moderate = yield* run(yield* registryWith("moderate"))
      assert.deepStrictEqual([moderate.code, moderate.stderr], [0, ""])
      assert.match(moderate.stdout, /^Advisories for \d+ packages: 1 moderate\n$/)
      assert.match((yield* run(yield* registryWith(undefined))).stdout, /^Advisories for \d+ packages: none\n$/)
    }))

  it.live("does not take silence for good news", () =>
    Effect.gen(function*() {
      for (const registry of [yield* registryWith(undefined, 405), "http://127.0.0.1:1/"]) {
        const { code, stderr, stdout } = yield* run(registry)
        assert.deepStrictEqual([code, stdout], [3, ""])
        assert.match(stderr, /\nNobody could be asked for advisories: nothing is known about the packages.\n$/)
      }
    }))
})
