import { Result } from "effect"
import { readFileSync } from "node:fs"
import type { Environment } from "./Environment.ts"
import type { Declarations, Setting, Values } from "./Setting.ts"
import type { SettingProblem } from "./SettingProblem.ts"
import { shown } from "./SettingValue.ts"

/** Stands for a value that a problem must not show. */
const hidden = "(hidden)"

/** What there is for a setting. Without text it could not be read, which has been told. */
interface Given {
  readonly variable: string
  readonly text: string | undefined
}

/**
 * Reads declared settings from environment variables and collects every problem, so that a person is told all of them at once. A variable that is
 * empty counts as unset. After a problem there is a stand-in value; `result` then has the problems instead of the settings.
 */
export class SettingReader {
  readonly #environment: Environment
  readonly #problems: Array<SettingProblem> = []
  /** What has been read, in its order. */
  readonly #read: Array<string> = []
  readonly #lookedUp = new Map<string, { readonly given: Given | undefined }>()

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
    const { default: written, fileVariable, name, presence, type } = setting
    this.#read.push(name, ...fileVariable === undefined ? [] : [fileVariable])
    const standIn = (): A =>
      written === undefined || presence !== "defaulted"
        ? type.standIn
        : Result.getOrElse(type.parse(written), () => type.standIn)
    const given = this.#given(setting)
    if (given === undefined) {
      if (presence === "required") this.problem(setting, type.expected)
      return standIn()
    }
    if (given.text === undefined) return standIn()
    const parsed = type.parse(given.text)
    if (Result.isSuccess(parsed)) return parsed.success
    this.#report(given.variable, parsed.failure, type.secret ? hidden : given.text)
    return standIn()
  }

  isSet(setting: Setting<unknown>): boolean {
    return this.#given(setting) !== undefined
  }

  /** What was given for the setting, as it was written. */
  textOf(setting: Setting<unknown>): string | undefined {
    return this.#given(setting)?.text
  }

  /** Reports a problem that no single reading could find, for example between two settings. What was given for a secret is not shown. */
  problem({ name, type }: Setting<unknown>, expected: string, actual?: string): void {
    this.#report(name, expected, actual === undefined || !type.secret ? actual : hidden)
  }

  #report(setting: string, expected: string, actual?: string): void {
    this.#problems.push({ setting, expected, actual: actual === undefined ? undefined : shown(actual) })
  }

  /** Looked up once, so that a problem with the file is told once. */
  #given(setting: Setting<unknown>): Given | undefined {
    const { fileVariable, name } = setting
    const known = this.#lookedUp.get(name)
    if (known !== undefined) return known.given
    const text = this.#variable(name)
    const path = fileVariable === undefined ? undefined : this.#variable(fileVariable)
    let given: Given | undefined = text === undefined ? undefined : { variable: name, text }
    if (fileVariable !== undefined && path !== undefined) {
      if (given === undefined) given = { variable: fileVariable, text: this.#content(setting, fileVariable, path) }
      else this.#report(fileVariable, `nothing, as ${name} is set`, path)
    }
    this.#lookedUp.set(name, { given })
    return given
  }

  #variable(name: string): string | undefined {
    const value = this.#environment[name]?.trim()
    return value === "" ? undefined : value
  }

  /** Without the line end that editors leave. */
  #content({ type }: Setting<unknown>, variable: string, path: string): string | undefined {
    try {
      const content = readFileSync(path, "utf8").replace(/[\r\n]+$/, "")
      if (content !== "") return content
      this.#report(variable, `a file with ${type.expected}, and that one is empty`, path)
    } catch {
      this.#report(variable, `the path of a readable file with ${type.expected}`, path)
    }
    return undefined
  }
}
