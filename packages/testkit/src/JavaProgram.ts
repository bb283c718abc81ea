import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import * as NodePath from "node:path"
import { onDisk } from "./internal/Directories.ts"
import { classPath, findJava, makeOnce, runMaven } from "./internal/Java.ts"
import type { Progress } from "./internal/Progress.ts"
import { toolchainDirectory } from "./internal/Workspace.ts"
import type { KafkaBrokerError } from "./KafkaBrokerError.ts"
import type { Leash } from "./Leash.ts"

/** A program in Java, ready to run. */
export interface JavaProgram {
  readonly command: string
  /** In front of the main class. */
  readonly args: ReadonlyArray<string>
}

export interface JavaProgramOptions {
  /** What it is called in messages, and on the disk. */
  readonly name: string
  /** The folder with its `pom.xml`, which builds into `${buildDirectory}`, and its sources. */
  readonly project: string
  readonly progress: Progress
}

/** Changes with any of the files. */
const contentsOf = async (folder: string): Promise<string> => {
  const hash = createHash("sha256")
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map(({ name, parentPath }) => NodePath.join(parentPath, name))
  for (const file of files.toSorted()) hash.update(`${NodePath.relative(folder, file)}\n`).update(await readFile(file))
  return hash.digest("hex").slice(0, 16)
}

/** Builds a program with Maven, once per clone and again when its sources have changed. Needs a JDK of Java 17 or later, and Maven. */
export const buildJavaProgram: (
  options: JavaProgramOptions
) => Effect.Effect<JavaProgram, KafkaBrokerError, Leash> = Effect.fnUntraced(function*({ name, progress, project }) {
  const java = yield* findJava
  const contents = yield* onDisk(project, () => contentsOf(project))
  const directory = NodePath.join(toolchainDirectory, `${name}-${contents}`)
  yield* makeOnce(directory, (unfinished) =>
    Effect.andThen(
      progress(`Building ${name} with Maven (once per clone).`),
      runMaven(`Building ${name} with Maven`, project, [
        `-DbuildDirectory=${unfinished}`,
        "compile",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        `-DoutputDirectory=${NodePath.join(unfinished, "lib")}`
      ])
    ))
  const libraries = yield* classPath(NodePath.join(directory, "lib"))
  return {
    command: java.command,
    args: ["-cp", `${NodePath.join(directory, "classes")}${NodePath.delimiter}${libraries}`]
  }
})
