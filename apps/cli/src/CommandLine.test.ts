import { assert, describe, it } from "@effect/vitest"
import type { Command } from "effect/cli"
import { Completions } from "effect/cli"
import { commandLine } from "./CommandLine.ts"

interface Leaf {
  readonly path: string
  readonly command: Command.Command.Any
  readonly flags: ReadonlyArray<string>
}

/** The commands that do something, by what is typed for them. */
const leaves = (
  command: Command.Command.Any,
  descriptor: Completions.CommandDescriptor,
  path: string = command.name
): ReadonlyArray<Leaf> => {
  const children = command.subcommands.flatMap(({ commands }) => commands)
  return children.length === 0
    ? [{ path, command, flags: descriptor.flags.map(({ name }) => name) }]
    : children.flatMap((child) => {
      const of = descriptor.subcommands.find(({ name }) => name === child.name)
      return of === undefined ? [] : leaves(child, of, `${path} ${child.name}`)
    })
}

const all = commandLine({})
const commands = leaves(all, Completions.fromCommand(all)).map((leaf) => [leaf.path, leaf] as const)

describe("commandLine", () => {
  it.each(commands)("%s tells its exit codes, has examples of itself, and --json", (path, { command, flags }) => {
    assert.match(command.description ?? "", /\n {2}Exit codes: 0 .*; 1 .*; 2 [^\n]*\.$/)
    assert.isNotEmpty(command.shortDescription)
    assert.isNotEmpty(command.examples)
    for (const { command: example } of command.examples) assert.include(example, path)
    assert.include(flags, "json")
  })
})
