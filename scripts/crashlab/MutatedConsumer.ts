import { Leash } from "@origin-regions/testkit/Leash"
import { Effect, FileSystem } from "effect"
import { cp, symlink } from "node:fs/promises"
import * as NodePath from "node:path"
import { root } from "../Command.ts"
import { mutate, type Mutation } from "./Mutations.ts"

/**
 * A copy of the consumer and all that it is made of, with one mutation; gone with the scope, or with us. The packages of others are linked: pnpm's
 * links are relative, and so those between our own packages stay within the copy.
 */
export const mutatedConsumer = Effect.fnUntraced(function*(mutation: Mutation) {
  const fs = yield* FileSystem.FileSystem
  const { hold } = yield* Leash
  const copy = yield* fs.makeTempDirectoryScoped({ prefix: "origin-regions-mutated-" })
  const release = hold({ _tag: "Directory", path: copy })
  yield* Effect.addFinalizer(() => Effect.sync(release))
  yield* Effect.promise(async () => {
    for (const folder of ["apps/consumer", "packages"]) {
      await cp(NodePath.join(root, folder), NodePath.join(copy, folder), { recursive: true, verbatimSymlinks: true })
    }
    await symlink(NodePath.join(root, "node_modules"), NodePath.join(copy, "node_modules"), "dir")
  })
  const file = NodePath.join(copy, mutation.file)
  const source = yield* fs.readFileString(file)
  yield* fs.writeFileString(file, yield* Effect.sync(() => mutate(source, mutation)))
  return copy
}, Effect.orDie)
