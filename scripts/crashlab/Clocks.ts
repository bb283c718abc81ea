import { Leash } from "@origin-regions/testkit/Leash"
import { Context, Effect, FileSystem, Layer } from "effect"
import { renameSync, writeFileSync } from "node:fs"
import * as NodePath from "node:path"

/** A process' wall clock, that can be set while it runs. It has its own, as on a machine of its own. */
export interface SettableClock {
  /** What the process has to be started with. */
  readonly environment: Readonly<Record<string, string>>
  /** How far it is ahead of this machine's clock, in milliseconds. */
  readonly shift: () => number
  readonly set: (shift: number) => Effect.Effect<void>
}

const preloaded = `--import=${new URL("./ShiftedClock.ts", import.meta.url)}`

/** The wall clocks of the laboratory's processes. */
export class Clocks extends Context.Service<Clocks, {
  /** The clock of the API. */
  readonly api: SettableClock
  /** A clock for whoever runs in a place. */
  readonly ofPlace: (place: number) => SettableClock
}>()("@origin-regions/scripts/Clocks") {
  static readonly layer = Layer.effect(
    Clocks,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { hold } = yield* Leash
      const directory = yield* Effect.orDie(fs.makeTempDirectoryScoped({ prefix: "origin-regions-clocks-" }))
      const release = hold({ _tag: "Directory", path: directory })
      yield* Effect.addFinalizer(() => Effect.sync(release))

      const clock = (name: string): SettableClock => {
        const file = NodePath.join(directory, name)
        let shift = 0
        const write = () => {
          writeFileSync(`${file}.new`, String(shift))
          renameSync(`${file}.new`, file)
        }
        write()
        return {
          environment: { NODE_OPTIONS: preloaded, CLOCK_SHIFT_FILE: file },
          shift: () => shift,
          set: (to) =>
            Effect.sync(() => {
              shift = to
              write()
            })
        }
      }
      const places: Array<SettableClock> = []
      return Clocks.of({
        api: clock("api"),
        ofPlace: (place) => places[place] ??= clock(`place-${place}`)
      })
    })
  )
}
