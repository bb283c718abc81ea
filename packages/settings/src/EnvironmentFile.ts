import { ConfigProvider, Effect, Layer, Result } from "effect"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { parseEnv } from "node:util"
import type { Environment } from "./Environment.ts"
import { optional } from "./Setting.ts"
import type { SettingProblem } from "./SettingProblem.ts"
import { SettingReader } from "./SettingReader.ts"
import { SettingsError } from "./SettingsError.ts"
import { text } from "./SettingType.ts"

const DEFAULT_FILE = ".env"

/** What every program reads before it reads anything else. */
export const environmentFileSettings = {
  file: optional("ENV_FILE", text("the path of a readable file"), {
    without: `\`${DEFAULT_FILE}\`, if there is one`,
    meaning: "a [file of settings](#settings-from-a-file), from the working directory",
    example: "/etc/origin-regions/consumer.env"
  })
}

/** An environment, and the file that a part of it comes from. */
export interface CompleteEnvironment {
  readonly environment: Environment
  /** An absolute path; left out where there is no file. */
  readonly file: string | undefined
  /** The variables that come from the file. */
  readonly fromFile: ReadonlySet<string>
}

/** One line of the file, or several where a quoted value has them: `NAME=value`, a comment, or nothing. */
const ENTRY =
  /[ \t]*(?:(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*(?:"[^"]*"|'[^']*'|`[^`]*`|[^\s"'`#][^\n#]*)?[ \t]*)?(?:#[^\n]*)?(?:\r?\n|$)/y

/** Node's parser passes over what it does not understand, and a forgotten quote takes other settings along. */
const wrongLines = (content: string): ReadonlyArray<number> => {
  const wrong: Array<number> = []
  let position = 0
  while (position < content.length) {
    ENTRY.lastIndex = position
    if (ENTRY.test(content)) {
      position = ENTRY.lastIndex
      continue
    }
    wrong.push(content.slice(0, position).split("\n").length)
    const end = content.indexOf("\n", position)
    position = end < 0 ? content.length : end + 1
  }
  return wrong
}

const readable = (path: string, isDefault: boolean): Result.Result<string | undefined, string> => {
  try {
    return Result.succeed(readFileSync(path, "utf8"))
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable"
    if (isDefault && code === "ENOENT") return Result.succeed(undefined)
    return Result.fail(`${environmentFileSettings.file.type.expected} (${code})`)
  }
}

/**
 * The environment with what `.env` of the working directory adds to it, or the file that `ENV_FILE` names: lines of `NAME=value`, as Node reads them. A
 * variable that the environment has, be it empty, is not taken from the file.
 */
export const completeEnvironment = (
  environment: Environment
): Result.Result<CompleteEnvironment, ReadonlyArray<SettingProblem>> => {
  const reader = new SettingReader(environment)
  const { file } = reader.readAll(environmentFileSettings)
  const path = resolve(file ?? DEFAULT_FILE)
  const content = readable(path, file === undefined)
  if (Result.isFailure(content)) reader.problem(environmentFileSettings.file, content.failure, path)
  const lines = Result.isSuccess(content) && content.success !== undefined ? wrongLines(content.success) : []
  if (lines.length > 0) {
    const which = lines.length === 1 ? `line ${lines[0]} is` : `lines ${lines.join(", ")} are`
    reader.problem(environmentFileSettings.file, `a file of NAME=value lines, but ${which} not like that`, path)
  }
  const found = Result.isSuccess(content) ? content.success : undefined
  const added = Object.entries(parseEnv(found ?? "")).filter(([name]) => environment[name] === undefined)
  return reader.result({
    environment: { ...Object.fromEntries(added), ...environment },
    file: found === undefined ? undefined : path,
    fromFile: new Set(added.map(([name]) => name))
  })
}

/** The same, as Effect's configuration. */
export const layerEnvironment = (environment: Environment): Layer.Layer<never, SettingsError> =>
  Layer.unwrap(Effect.gen(function*() {
    const complete = completeEnvironment(environment)
    if (Result.isFailure(complete)) return yield* new SettingsError({ problems: complete.failure })
    const set = Object.entries(complete.success.environment).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    )
    return ConfigProvider.layer(ConfigProvider.fromEnvRecord(Object.fromEntries(set)))
  }))
