import * as NodePath from "node:path"

/** The repository's root: three folders above this package's `src/internal`. */
export const workspaceRoot = NodePath.resolve(import.meta.dirname, "../../../..")

/** What an installed thing of ours is kept in: downloaded once per clone, and gone with it. */
export const toolchainDirectory = NodePath.join(workspaceRoot, ".toolchain")
