import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Environment } from "./Environment.ts"
import { completeEnvironment } from "./EnvironmentFile.ts"
import { describeProblems } from "./SettingProblem.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "environment-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const fileWith = (content: string) =>
  Effect.map(directory, (directory) => {
    const path = join(directory, "settings.env")
    writeFileSync(path, content)
    return path
  })

const complete = (environment: Environment) => Result.getOrThrow(completeEnvironment(environment))

const problemOf = (environment: Environment) =>
  Result.match(completeEnvironment(environment), { onSuccess: () => "no problem", onFailure: describeProblems })

describe("completeEnvironment", () => {
  it("changes nothing where there is no file", () => {
    assert.deepStrictEqual(complete({ A: "1" }), {
      environment: { A: "1" },
      file: undefined,
      fromFile: new Set<string>()
    })
  })

  it.effect("adds what the file has and the environment has not", () =>
    Effect.gen(function*() {
      const file = yield* fileWith([
        "# a comment",
        "",
        "PLAIN=a=b c # and why",
        "  export QUOTED=\"a # b\"  # and why",
        "LINES='one",
        "two'",
        "EMPTY=",
        "AFTER = yes\r",
        "HERE=file",
        "UNSET=file",
        "JSON={\"a\": \"b\"}"
      ].join("\n"))
      const own = { ENV_FILE: file, HERE: "environment", UNSET: "" }
      assert.deepStrictEqual(complete(own), {
        environment: {
          ...own,
          PLAIN: "a=b c",
          QUOTED: "a # b",
          LINES: "one\ntwo",
          EMPTY: "",
          AFTER: "yes",
          JSON: "{\"a\": \"b\"}"
        },
        file,
        fromFile: new Set(["PLAIN", "QUOTED", "LINES", "EMPTY", "AFTER", "JSON"])
      })
    }))

  it.effect("names the lines that are no settings, and shows none of them", () =>
    Effect.gen(function*() {
      const lines = "A=1\nKAFKA: s3cret\nB=2\n1C=s3cret\n=s3cret\nD='s3cret\nE=\"s3cret\" junk\nF=6\n"
      const file = yield* fileWith(lines)
      assert.strictEqual(
        problemOf({ ENV_FILE: file }),
        `A setting is wrong:\n  ENV_FILE is "${file}": expected a file of NAME=value lines, but lines 2, 4, 5, 6, 7 are not like that`
      )
      const one = yield* fileWith("A=1\nB\nC=3")
      assert.include(problemOf({ ENV_FILE: one }), "but line 2 is not like that")
    }))

  it.effect("says that a file can't be read", () =>
    Effect.gen(function*() {
      const path = yield* directory
      assert.strictEqual(
        problemOf({ ENV_FILE: path }),
        `A setting is wrong:\n  ENV_FILE is "${path}": expected the path of a readable file (EISDIR)`
      )
      assert.include(problemOf({ ENV_FILE: join(path, "none") }), "(ENOENT)")
    }))
})
