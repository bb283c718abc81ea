import { Config, Effect, Option, Stdio } from "effect"

/** How far long work has come. `all` is `undefined` where nobody knows. */
export interface Stage {
  /** What is being done, such as "Sending". */
  readonly doing: string
  readonly done: number
  readonly all: number | undefined
}

const BAR_WIDTH = 30
const count = (number: number): string => number.toLocaleString("en-US")

/** One line about it, with a bar where the end is known. */
export const progressLine = ({ all, doing, done }: Stage): string => {
  if (all === undefined) return `${doing} ${count(done)}`
  const filled = all === 0 ? BAR_WIDTH : Math.floor(BAR_WIDTH * Math.min(1, done / all))
  return `${doing} ${"━".repeat(filled)}${"─".repeat(BAR_WIDTH - filled)} ${count(done)} of ${count(all)}`
}

const CLEAR = "\r\u001B[2K"

const write = (text: string) => Effect.sync(() => process.stderr.write(text))

/** A terminal that says it is dumb shows control sequences as they are. */
const canShow = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  const term = yield* Effect.orDie(Config.option(Config.String("TERM")))
  return (yield* stdio.stderrIsTerminal) && Option.getOrUndefined(term) !== "dumb"
})

/** Prints a line in the place of what is shown. */
export const besideProgress = <A, E, R>(print: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    if (yield* canShow) yield* write(CLEAR)
    return yield* print
  })

/** Shows on stderr how far the effect has come while it runs, if that is a terminal that can. */
export const showingProgress = (stage: () => Stage) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    if (!(yield* canShow)) return yield* effect
    const show = Effect.suspend(() => write(CLEAR + progressLine(stage())))
    return yield* Effect.raceFirst(
      effect,
      Effect.forever(Effect.delay(show, "100 millis"))
    ).pipe(Effect.ensuring(write(CLEAR)))
  })
