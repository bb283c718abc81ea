/**
 * A setting that is unset or wrong, in words for the person who set it. `expected` reads on from "expected":
 * "a whole number from 1 to 1024". `actual` is what was given; left out for secrets and for unset settings. `SettingReader` collects them.
 */
export interface SettingProblem {
  readonly setting: string
  readonly expected: string
  readonly actual: string | undefined
}

/** One message that names every wrong setting with what was expected. */
export const describeProblems = (problems: ReadonlyArray<SettingProblem>): string =>
  [
    problems.length === 1 ? "A setting is wrong:" : `${problems.length} settings are wrong:`,
    ...problems.map(({ actual, expected, setting }) =>
      actual === undefined
        ? `  ${setting} is not set: expected ${expected}`
        : `  ${setting} is ${JSON.stringify(actual)}: expected ${expected}`
    )
  ].join("\n")
