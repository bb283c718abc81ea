import { Runtime, Schema } from "effect"
import { describeProblems } from "./SettingProblem.ts"

/** One or more settings are unset or wrong; `problems` has all of them, `message` a line for each. A program that ends with it exits with 2. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", {
  problems: Schema.Array(
    Schema.Struct({ setting: Schema.String, expected: Schema.String, actual: Schema.UndefinedOr(Schema.String) })
  )
}) {
  override readonly [Runtime.errorExitCode] = 2
  override get message(): string {
    return describeProblems(this.problems)
  }
}
