/**
 * A setting that is unset or wrong, in words for the person who set it. `expected` reads on from "expected":
 * "a whole number from 1 to 1024, for example 64". `actual` is what was given; left out for secrets and for unset settings.
 */
export interface SettingProblem {
  readonly setting: string
  readonly expected: string
  readonly actual: string | undefined
}
