import { Duration, Option, Redacted, Result } from "effect"
import type { SettingProblem } from "./SettingProblem.ts"

/** Environment variables, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>

interface WithDefault<A> {
  /** Left out: the setting is required. */
  readonly default?: A
}

/**
 * Reads settings from environment variables and collects every problem, so that a person is told all of them at once. A variable that is empty
 * counts as unset. After a problem the methods return a stand-in value of their type; `result` then has the problems instead of the settings.
 */
export class SettingReader {
  readonly #environment: Environment
  readonly #problems: Array<SettingProblem> = []

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** The settings, or every problem found, those of other readers included. */
  result<A>(
    settings: A,
    ...others: ReadonlyArray<ReadonlyArray<SettingProblem>>
  ): Result.Result<A, ReadonlyArray<SettingProblem>> {
    const problems = [...this.#problems, ...others.flat()]
    return problems.length === 0 ? Result.succeed(settings) : Result.fail(problems)
  }

  /** Reports a problem that no single reading could find, for example between two settings. */
  problem(setting: string, expected: string, actual?: string): void {
    this.#problems.push({ setting, expected, actual })
  }

  isSet(setting: string): boolean {
    return this.#value(setting) !== undefined
  }

  text(setting: string, expected: string, options: WithDefault<string> & { readonly pattern?: RegExp } = {}): string {
    return this.#read(
      setting,
      expected,
      options.default ?? "",
      options.default !== undefined,
      (value) => options.pattern === undefined || options.pattern.test(value) ? Option.some(value) : Option.none()
    )
  }

  list(
    setting: string,
    expected: string,
    pattern: RegExp,
    options: WithDefault<ReadonlyArray<string>> = {}
  ): ReadonlyArray<string> {
    return this.#read(setting, expected, options.default ?? [], options.default !== undefined, (value) => {
      const parts = value.split(",").map((part) => part.trim())
      return parts.every((part) => pattern.test(part)) ? Option.some(parts) : Option.none()
    })
  }

  oneOf<const A extends string>(
    setting: string,
    values: ReadonlyArray<A>,
    options: WithDefault<A> = {}
  ): A | undefined {
    return this.#read<A | undefined>(
      setting,
      `one of ${values.join(", ")}`,
      options.default,
      options.default !== undefined,
      (value) => Option.fromUndefinedOr(values.find((candidate) => candidate === value))
    )
  }

  integer(
    setting: string,
    range: { readonly minimum: number; readonly maximum: number },
    options: WithDefault<number> = {}
  ): number {
    const expected = `a whole number from ${range.minimum} to ${range.maximum}`
    return this.#read(setting, expected, options.default ?? 0, options.default !== undefined, (value) => {
      const number = Number(value)
      return /^\d+$/.test(value) && number >= range.minimum && number <= range.maximum
        ? Option.some(number)
        : Option.none()
    })
  }

  boolean(setting: string, options: WithDefault<boolean> = {}): boolean {
    return this.#read(
      setting,
      "true or false",
      options.default ?? false,
      options.default !== undefined,
      (value) => value === "true" ? Option.some(true) : value === "false" ? Option.some(false) : Option.none()
    )
  }

  /** Reads `10 seconds`, `500 millis`, `2 minutes` and the like. */
  duration(setting: string, options: WithDefault<Duration.Duration> = {}): Duration.Duration {
    return this.#read(
      setting,
      "a duration such as \"10 seconds\" or \"500 millis\"",
      options.default ?? Duration.zero,
      options.default !== undefined,
      (value) =>
        Option.filter(
          Duration.fromInput(value as Duration.Input),
          (duration) => Duration.isFinite(duration) && Duration.isPositive(duration)
        )
    )
  }

  url(setting: string, options: WithDefault<string> = {}): URL {
    const expected = "an http:// or https:// address"
    return this.#read(
      setting,
      expected,
      new URL(options.default ?? "http://unset.invalid"),
      options.default !== undefined,
      (value) =>
        URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? Option.some(new URL(value)) : Option.none()
    )
  }

  /** A secret: what was given never shows up in a problem. */
  secret(setting: string, expected: string): Redacted.Redacted<string> {
    const value = this.#value(setting)
    if (value === undefined) this.problem(setting, expected)
    return Redacted.make(value ?? "", { label: setting })
  }

  #value(setting: string): string | undefined {
    const value = this.#environment[setting]?.trim()
    return value === "" ? undefined : value
  }

  #read<A>(
    setting: string,
    expected: string,
    fallback: A,
    optional: boolean,
    parse: (value: string) => Option.Option<A>
  ): A {
    const value = this.#value(setting)
    if (value === undefined) {
      if (!optional) this.problem(setting, expected)
      return fallback
    }
    const parsed = parse(value)
    if (Option.isSome(parsed)) return parsed.value
    this.problem(setting, expected, value)
    return fallback
  }
}
