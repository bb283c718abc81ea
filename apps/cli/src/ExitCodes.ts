/** The exit codes that all commands share, and what each means in a command's help. */
const meanings = {
  0: "done",
  1: "Kafka or the API failed",
  2: "the command line, a setting or the input is wrong, and nothing was attempted"
}

/** A command's exit codes in one line of its help; `own` are those in which it differs from the others. */
export const exitCodes = (own: Readonly<Record<number, string>> = {}): string =>
  `Exit codes: ${
    Object.entries<string>({ ...meanings, ...own }).map(([code, meaning]) => `${code} ${meaning}`).join("; ")
  }.`
