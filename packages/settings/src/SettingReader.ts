import { Result } from "effect"
import type { Environment } from "./Environment.ts"
import type { Declarations, Setting, Values } from "./Setting.ts"
import type { SettingProblem } from "./SettingProblem.ts"

/** Stands for a value that a problem must not show. */
const hidden = "(hidden)"

/**
 * Reads declared settings from environment variables and collects every problem, so that a person is told all of them at once. A variable that is
 * empty counts as unset. After a problem there is a stand-in value; `result` then has the problems instead of the settings.
 */
export class SettingReader {
  readonly #environment: Environment
  readonly #problems: Array<SettingProblem> = []
  /** What has been read, in its order. */
  readonly #read: Array<string> = []

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** The settings, or every problem found, in the order in which the settings were read, and after them those of other readers. */
  result<A>(
    settings: A,
    ...others: ReadonlyArray<ReadonlyArray<SettingProblem>>
  ): Result.Result<A, ReadonlyArray<SettingProblem>> {
    const own = this.#problems.toSorted((one, other) =>
      this.#read.indexOf(one.setting) - this.#read.indexOf(other.setting)
    )
    const problems = [...own, ...others.flat()]
    return problems.length === 0 ? Result.succeed(settings) : Result.fail(problems)
  }

  /** Every one of the settings, by the program's names for them. */
  readAll<D extends Declarations>(declared: D): Values<D> {
    // The type of each value is that of its own declaration.
    return Object.fromEntries(Object.entries(declared).map(([name, setting]) => [name, this.read(setting)])) as Values<
      D
    >
  }

  read<A>(setting: Setting<A>): A {
    const { default: defaultValue, presence, type } = setting
    this.#read.push(setting.name)
    const text = this.textOf(setting) ?? (presence === "defaulted" ? defaultValue : undefined)
    if (text === undefined) {
      if (presence === "required") this.problem(setting, type.expected)
      return type.standIn
    }
    const parsed = type.parse(text)
    if (Result.isSuccess(parsed)) return parsed.success
    this.problem(setting, parsed.failure, text)
    return defaultValue === undefined || presence !== "defaulted"
      ? type.standIn
      : Result.getOrElse(type.parse(defaultValue), () => type.standIn)
  }

  isSet(setting: Setting<unknown>): boolean {
    return this.textOf(setting) !== undefined
  }

  /** What was given for the setting, as it was written. */
  textOf({ name }: Setting<unknown>): string | undefined {
    const value = this.#environment[name]?.trim()
    return value === "" ? undefined : value
  }

  /** Reports a problem that no single reading could find, for example between two settings. What was given for a secret is not shown. */
  problem({ name, type }: Setting<unknown>, expected: string, actual?: string): void {
    this.#problems.push({ setting: name, expected, actual: actual === undefined || !type.secret ? actual : hidden })
  }
}
