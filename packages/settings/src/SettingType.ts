import { Duration, Redacted, Result } from "effect"
import { readFileSync } from "node:fs"

/** How a setting is written and what it comes to. */
export interface SettingType<out A> {
  /** Reads on from "expected": "a whole number from 1 to 1024". */
  readonly expected: string
  /** The value, or what was expected instead, in the words of `expected` or in better ones. */
  readonly parse: (text: string) => Result.Result<A, string>
  /** Stands for a value after a problem, so that reading can go on. Nobody gets to see it. */
  readonly standIn: A
  /** What was given must not be shown to anybody. */
  readonly secret: boolean
}

const plain = <A>(
  expected: string,
  standIn: A,
  parse: (text: string) => A | undefined
): SettingType<A> => ({
  expected,
  standIn,
  secret: false,
  parse: (text) => {
    const value = parse(text)
    return value === undefined ? Result.fail(expected) : Result.succeed(value)
  }
})

export const text = (expected: string, pattern?: RegExp): SettingType<string> =>
  plain(expected, "", (text) => pattern === undefined || pattern.test(text) ? text : undefined)

/** Parts with commas between, each of which has the pattern. */
export const list = (expected: string, pattern: RegExp): SettingType<ReadonlyArray<string>> =>
  plain<ReadonlyArray<string>>(expected, [], (text) => {
    const parts = text.split(",").map((part) => part.trim())
    return parts.every((part) => pattern.test(part)) ? parts : undefined
  })

export const oneOf = <const A extends readonly [string, ...ReadonlyArray<string>]>(values: A): SettingType<A[number]> =>
  plain<A[number]>(`one of ${values.join(", ")}`, values[0], (text) => values.find((value) => value === text))

export const wholeNumber = (minimum: number, maximum: number): SettingType<number> =>
  plain(`a whole number from ${minimum} to ${maximum}`, minimum, (text) => {
    const number = Number(text)
    return /^\d+$/.test(text) && number >= minimum && number <= maximum ? number : undefined
  })

export const trueOrFalse: SettingType<boolean> = plain<boolean>(
  "true or false",
  false,
  (text) => text === "true" ? true : text === "false" ? false : undefined
)

/** `10 seconds`, `500 millis`, `2 minutes` and the like, longer than nothing; within a range, if there is one, which `expected` tells. */
export const duration = (
  range?: { readonly minimum: Duration.Duration; readonly maximum?: Duration.Duration; readonly expected: string }
): SettingType<Duration.Duration> => {
  const expected = "a duration such as \"10 seconds\" or \"500 millis\""
  return {
    expected: range?.expected ?? expected,
    standIn: Duration.seconds(1),
    secret: false,
    parse: (text) => {
      const parsed = Duration.fromInput(text as Duration.Input)
      if (parsed._tag === "None" || !Duration.isFinite(parsed.value) || !Duration.isPositive(parsed.value)) {
        return Result.fail(expected)
      }
      const { minimum, maximum = Duration.infinity } = range ?? { minimum: Duration.zero }
      return Duration.between(parsed.value, { minimum, maximum })
        ? Result.succeed(parsed.value)
        : Result.fail(range?.expected ?? expected)
    }
  }
}

/** An `http://` or `https://` address. */
export const webAddress: SettingType<URL> = plain(
  "an http:// or https:// address",
  new URL("http://unset.invalid"),
  (text) => {
    const url = URL.parse(text)
    return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
  }
)

/** The path of a text file, read at once, so that a wrong path is a wrong setting. Its content is the value. */
export const textFile = (expected: string): SettingType<string> =>
  plain(expected, "", (path) => {
    try {
      return readFileSync(path, "utf8")
    } catch {
      return undefined
    }
  })

/** What never shows up in a message. Each secret `X` can be given by a file as well, which `X_FILE` names. */
export const secret = (
  expected: string,
  pattern?: { readonly matches: RegExp; readonly expected: string }
): SettingType<Redacted.Redacted> => ({
  expected,
  standIn: Redacted.make(""),
  secret: true,
  parse: (text) =>
    pattern === undefined || pattern.matches.test(text)
      ? Result.succeed(Redacted.make(text))
      : Result.fail(pattern.expected)
})
