/** Writes the generated documents; with `--check` it only says which of them are stale. */
import { openApiGeneration1, openApiGeneration2 } from "@origin-regions/api/OpenApiDocument"
import { asyncApi } from "@origin-regions/domain/AsyncApi"
import { outcomeSchema, requestSchema } from "@origin-regions/domain/EventSchemas"
import { Effect, FileSystem, Path } from "effect"
import { readFileSync } from "node:fs"
import * as NodePath from "node:path"
import { root } from "./Command.ts"
import { exampleDocument } from "./documents/ExampleDocument.ts"
import { settingsDocument } from "./documents/SettingsDocument.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"

interface Document {
  /** Where it is, from the root. */
  readonly path: string
  /** Made of what is there now, where only parts of it are generated. */
  readonly render: (current: string) => string
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const fileOf = (path: string): string => readFileSync(NodePath.join(root, path), "utf8")

const documents: ReadonlyArray<Document> = [
  { path: "docs/asyncapi.json", render: () => json(asyncApi()) },
  { path: "docs/mapping-request.schema.json", render: () => json(requestSchema()) },
  { path: "docs/mapping-outcome.schema.json", render: () => json(outcomeSchema()) },
  { path: "docs/openapi-v1.json", render: () => json(openApiGeneration1()) },
  { path: "docs/openapi-v2.json", render: () => json(openApiGeneration2()) },
  { path: "docs/settings.md", render: settingsDocument },
  { path: "docs/emit.md", render: (current) => exampleDocument(current, fileOf) }
]

const read = Effect.fnUntraced(function*({ path }: Document) {
  const fs = yield* FileSystem.FileSystem
  const file = (yield* Path.Path).join(root, path)
  return (yield* fs.exists(file)) ? yield* fs.readFileString(file) : ""
})

const write = Effect.fnUntraced(function*({ path }: Document, text: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFileString((yield* Path.Path).join(root, path), text)
  yield* print(`wrote ${path}`)
})

const main = Effect.gen(function*() {
  const check = process.argv.includes("--check")
  let exitCode = 0
  for (const document of documents) {
    const current = yield* read(document)
    const text = document.render(current)
    if (text === current) continue
    if (check) {
      exitCode = 1
      yield* printError(`${document.path} is stale: npm run documents writes it anew`)
    } else {
      yield* write(document, text)
    }
  }
  return exitCode
})

runScript(main)
