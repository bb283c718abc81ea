/** What differs from run to run, and how often somebody has run it, is the same to us: ids, times, how far columns are apart. */
const leveled = (line: string): string =>
  line
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "{id}")
    .replaceAll(/\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z/g, "{time}")
    .replaceAll(/\b\d{2}:\d{2}:\d{2}Z/g, "{time}")
    .replaceAll(/ {2,}/g, "  ")
    .trimEnd()

const lines = (text: string): ReadonlyArray<string> => text.replace(/^\n+/, "").trimEnd().split("\n").map(leveled)

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")

const pattern = (line: string): string =>
  line.trim() === "…" ? "(?:.*\n)*?" : `${line.split("…").map(escaped).join(".*")}\n`

/** Whether a page shows what came: `…` stands for anything within a line, and alone on a line for any lines. */
export const isShownAs = (shown: string, actual: string): boolean =>
  new RegExp(`^${lines(shown).map(pattern).join("")}$`).test(`${lines(actual).join("\n")}\n`)
