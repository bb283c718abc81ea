import { Option, Schema } from "effect"

/** A test that failed, or a file or package that could not be run. */
interface TestFailure {
  readonly name: string
  readonly message: string
}

/** What one package's tests came to. */
export interface TestReport {
  readonly passed: number
  readonly skipped: number
  readonly failures: ReadonlyArray<TestFailure>
}

/** As much of vitest's JSON report as is read here. */
const VitestReport = Schema.Struct({
  success: Schema.Boolean,
  testResults: Schema.Array(Schema.Struct({
    name: Schema.String,
    status: Schema.String,
    message: Schema.optionalKey(Schema.String),
    assertionResults: Schema.Array(Schema.Struct({
      status: Schema.String,
      fullName: Schema.String,
      failureMessages: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
    }))
  }))
})

const decodeReport = Schema.decodeUnknownOption(Schema.fromJsonString(VitestReport))

/** Reads one package's report; `undefined` is one that was never written. Whatever is not a clean pass is a failure. */
export const readTestReport = (packageFolder: string, json: string | undefined): TestReport => {
  const report = json === undefined ? Option.none() : decodeReport(json)
  if (Option.isNone(report)) {
    return { passed: 0, skipped: 0, failures: [{ name: packageFolder, message: "its tests left no report" }] }
  }
  const failures: Array<TestFailure> = []
  let passed = 0
  let skipped = 0
  for (const file of report.value.testResults) {
    const before = failures.length
    for (const test of file.assertionResults) {
      if (test.status === "passed") passed++
      else if (test.status === "failed") {
        failures.push({ name: `${packageFolder}: ${test.fullName}`, message: test.failureMessages?.join("\n") ?? "" })
      } else skipped++
    }
    if (file.status === "failed" && failures.length === before) {
      failures.push({ name: `${packageFolder}: ${file.name}`, message: file.message ?? "" })
    }
  }
  if (failures.length === 0 && passed + skipped === 0) {
    failures.push({ name: packageFolder, message: "it has no tests" })
  } else if (failures.length === 0 && !report.value.success) {
    failures.push({ name: packageFolder, message: "its tests passed, but the run failed: see its output" })
  }
  return { passed, skipped, failures }
}

const indented = (text: string): string => text.trimEnd().split("\n").map((line) => `    ${line}`).join("\n")

/** What a run ends with: every failure, and as the last line `N passed, N failed`, with `, N skipped` where there are any. */
export const describeReports = (reports: ReadonlyArray<TestReport>): ReadonlyArray<string> => {
  const sum = (count: (report: TestReport) => number) => reports.reduce((total, report) => total + count(report), 0)
  const skipped = sum((report) => report.skipped)
  return [
    ...reports.flatMap(({ failures }) => failures.map(({ message, name }) => `✗ ${name}\n${indented(message)}\n`)),
    `${sum((report) => report.passed)} passed, ${sum((report) => report.failures.length)} failed` +
    (skipped === 0 ? "" : `, ${skipped} skipped`)
  ]
}

/** Whether a run is good: something was tested, and nothing failed. */
export const allPassed = (reports: ReadonlyArray<TestReport>): boolean =>
  reports.some((report) => report.passed > 0) && reports.every((report) => report.failures.length === 0)
