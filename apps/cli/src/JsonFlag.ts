import { Flag } from "effect/cli"

/** `--json`: what every command has for programs. */
export const jsonFlag = (description: string): Flag.Flag<boolean> =>
  Flag.Boolean("json").pipe(Flag.withDescription(description), Flag.withDefault(false))
