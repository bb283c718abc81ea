import { Console } from "effect"
import { CliOutput } from "effect/cli"

/** What a flag's schema says goes for itself. */
const inPlainWords = (message: string): string =>
  message.replace(/Expected: Schema validation failed: (?:must be |Expected )?/, "Expected: ")

/** Tells a wrong command line in a line or two on stderr; the whole help stays away from pipes. */
export const invocationPresenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error([
        ...event.errors.map(({ message }) => inPlainWords(message)),
        `See ${event.commandPath.join(" ")} --help.`
      ].join("\n"))
      : CliOutput.defaultPresenter.present(event)
}
