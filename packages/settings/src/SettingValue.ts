import type { CompleteEnvironment } from "./EnvironmentFile.ts"
import type { Declarations, Setting } from "./Setting.ts"

/** A value as it may be shown: an address may have a password in it, be it where none belongs. */
export const shown = (text: string): string => text.replaceAll(/\/\/\S*@/g, "//(hidden)@")

/** What a setting is, and why, for a person. */
export interface SettingValue {
  readonly name: string
  /** As it is written; `(hidden)` for a secret, nothing where it is not set and has no default. */
  readonly value: string | undefined
  readonly from: "environment" | "environment file" | "secret file" | "default" | "nowhere"
}

/** What each setting is, in their order. Whether it may be that is `SettingReader`'s to say. */
export const settingValues = (
  declared: ReadonlyArray<Declarations>,
  complete: Pick<CompleteEnvironment, "environment" | "fromFile">
): ReadonlyArray<SettingValue> =>
  declared.flatMap((settings) => Object.values(settings)).map((setting) => settingValue(setting, complete))

const settingValue = (
  { default: written, fileVariable, name, presence, type: { secret } }: Setting<unknown>,
  { environment, fromFile }: Pick<CompleteEnvironment, "environment" | "fromFile">
): SettingValue => {
  const text = environment[name]?.trim() ?? ""
  if (text !== "") {
    const from = fromFile.has(name) ? "environment file" : "environment"
    return { name, value: secret ? "(hidden)" : shown(text), from }
  }
  if (fileVariable !== undefined && (environment[fileVariable]?.trim() ?? "") !== "") {
    return { name, value: "(hidden)", from: "secret file" }
  }
  return presence === "defaulted"
    ? { name, value: written, from: "default" }
    : { name, value: undefined, from: "nowhere" }
}
