import { Result } from "effect"
import type { SettingType } from "./SettingType.ts"

/**
 * One setting of a program, declared once: it is read, documented (`docs/settings.md`) and checked (`origin-regions config check`) by this. `A` is
 * what reading it comes to.
 */
export interface Setting<out A> {
  /** The environment variable. */
  readonly name: string
  readonly type: SettingType<A>
  readonly presence: "required" | "optional" | "defaulted"
  /** The default as a person would write it; for an optional setting what holds without it, in words. */
  readonly default: string | undefined
  /** What it is for, in Markdown; links begin at `docs/`. */
  readonly meaning: string
  /** A value as a person would write it. */
  readonly example: string
  /** The variable that names a file with the value instead; secrets have one. */
  readonly fileVariable: string | undefined
}

/** Settings that belong together, by the names that the program has for them. The order is that of the documentation. */
export type Declarations = Readonly<Record<string, Setting<unknown>>>

/** What reading all of the settings comes to. */
export type Values<D extends Declarations> = {
  readonly [Name in keyof D]: D[Name] extends Setting<infer A> ? A : never
}

interface About {
  readonly meaning: string
  readonly example: string
  /** For a secret `X` whose `X_FILE` is a setting of its own already. */
  readonly ownFile?: true
}

const declare = <A>(
  name: string,
  type: SettingType<A>,
  presence: Setting<A>["presence"],
  { example, meaning, ownFile }: About,
  defaultValue: string | undefined
): Setting<A> => ({
  name,
  type,
  presence,
  default: defaultValue,
  meaning,
  example,
  fileVariable: type.secret && ownFile === undefined ? `${name}_FILE` : undefined
})

/** A setting that the program can't do without. */
export const required = <A>(name: string, type: SettingType<A>, about: About): Setting<A> =>
  declare(name, type, "required", about, undefined)

/** A setting that has a default, written as a person would write it. A default that the type does not take is a mistake in the program. */
export const defaulted = <A>(
  name: string,
  type: SettingType<A>,
  about: About & { readonly default: string }
): Setting<A> => {
  if (Result.isFailure(type.parse(about.default))) throw new Error(`${name} has a default that it does not take`)
  return declare(name, type, "defaulted", about, about.default)
}

/** A setting that may be left out; `without` says what holds then, where that is not plain. */
export const optional = <A>(
  name: string,
  type: SettingType<A>,
  about: About & { readonly without?: string }
): Setting<A | undefined> =>
  declare<A | undefined>(name, { ...type, standIn: undefined }, "optional", about, about.without)

/** The same setting with a default of another program. */
export const withDefault = <A>(setting: Setting<A>, value: string): Setting<A> =>
  defaulted(setting.name, setting.type, { ...setting, default: value })

/** The environment variables that the settings can be given by. */
export const variablesOf = (declared: Declarations): ReadonlyArray<string> =>
  Object.values(declared).flatMap(({ fileVariable, name }) =>
    fileVariable === undefined ? [name] : [name, fileVariable]
  )
