/** Draws where a program's processor time went, from the profile that `node --cpu-prof` has written. */
import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { readFile, writeFile } from "node:fs/promises"
import { CpuProfile, flameGraph } from "./bench/FlameGraph.ts"
import { runCommandLine } from "./CommandLine.ts"
import { runScript } from "./ScriptRuntime.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(CpuProfile))

const command = Command.make(
  "npm run flame-graph --",
  {
    profile: Argument.String("profile").pipe(Argument.withDescription("A .cpuprofile file")),
    svg: Argument.String("svg").pipe(Argument.withDescription("The picture to write")),
    title: Flag.String("title").pipe(Flag.withDescription("What stands above it"), Flag.withDefault("Profile")),
    seconds: Flag.Int("seconds").pipe(
      Flag.withDescription("How much time the whole width is (default: all that there is)"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ profile, seconds, svg, title }) {
    const json = yield* Effect.tryPromise(() => readFile(profile, "utf8"))
    const picture = flameGraph(
      yield* decode(json),
      title,
      Option.getOrUndefined(seconds.pipe(Option.map((s) => s * 1e6)))
    )
    yield* Effect.tryPromise(() => writeFile(svg, picture))
  })
).pipe(Command.withDescription("Draw a processor profile as a flame graph in SVG."))

runScript(runCommandLine(command))
