import { assert, describe, it } from "@effect/vitest"
import { allPassed, describeReports, readTestReport } from "./TestReport.ts"

interface FileResult {
  readonly status?: string
  readonly message?: string
  readonly tests: ReadonlyArray<readonly [status: string, fullName: string, message?: string]>
}

const report = (success: boolean, ...files: ReadonlyArray<FileResult>) =>
  JSON.stringify({
    success,
    testResults: files.map(({ message = "", status = "passed", tests }) => ({
      name: "/repository/src/X.test.ts",
      status,
      message,
      assertionResults: tests.map(([status, fullName, failure]) => ({
        status,
        fullName,
        failureMessages: failure === undefined ? [] : [failure]
      }))
    }))
  })

describe("readTestReport", () => {
  it("counts what passed and what was skipped", () => {
    const json = report(true, { tests: [["passed", "a"], ["pending", "b"], ["todo", "c"], ["passed", "d"]] })
    assert.deepStrictEqual(readTestReport("packages/x", json), { passed: 2, skipped: 2, failures: [] })
  })

  it("names each failed test with what it said", () => {
    const json = report(false, {
      status: "failed",
      tests: [["passed", "a"], ["failed", "b breaks", "expected 1 to be 2"]]
    })
    assert.deepStrictEqual(readTestReport("packages/x", json), {
      passed: 1,
      skipped: 0,
      failures: [{ name: "packages/x: b breaks", message: "expected 1 to be 2" }]
    })
  })

  it("counts a file that could not be loaded", () => {
    const json = report(false, { status: "failed", message: "SyntaxError", tests: [] }, { tests: [["passed", "a"]] })
    assert.deepStrictEqual(readTestReport("packages/x", json), {
      passed: 1,
      skipped: 0,
      failures: [{ name: "packages/x: /repository/src/X.test.ts", message: "SyntaxError" }]
    })
  })

  it.each([
    ["no report", undefined, "its tests left no report"],
    ["an unreadable report", "{", "its tests left no report"],
    ["no tests", report(true), "it has no tests"],
    [
      "a failed run of passed tests",
      report(false, { tests: [["passed", "a"]] }),
      "its tests passed, but the run failed: see its output"
    ]
  ])("counts %s as a failure", (_, json, message) => {
    assert.deepStrictEqual(readTestReport("packages/x", json).failures, [{ name: "packages/x", message }])
  })
})

describe("describeReports", () => {
  const good = { passed: 2, skipped: 0, failures: [] }
  const bad = { passed: 1, skipped: 3, failures: [{ name: "packages/x: b", message: "no\nat all" }] }

  it("ends with the sums", () => {
    assert.deepStrictEqual(describeReports([good, good]), ["4 passed, 0 failed"])
    assert.deepStrictEqual(describeReports([good, bad]), [
      "✗ packages/x: b\n    no\n    at all\n",
      "3 passed, 1 failed, 3 skipped"
    ])
  })

  it("is good only where something passed and nothing failed", () => {
    assert.isTrue(allPassed([good, { passed: 0, skipped: 1, failures: [] }]))
    assert.isFalse(allPassed([good, bad]))
    assert.isFalse(allPassed([{ passed: 0, skipped: 4, failures: [] }]))
    assert.isFalse(allPassed([]))
  })
})
