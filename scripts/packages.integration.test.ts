import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Schema } from "effect"
import * as NodePath from "node:path"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { root } from "./Command.ts"
import { runExternal } from "./ExternalCommand.ts"

const Names = Schema.Record(Schema.String, Schema.String)

const Manifest = Schema.fromJsonString(Schema.Struct({
  name: Schema.String,
  private: Schema.optionalKey(Schema.Boolean),
  dependencies: Schema.optionalKey(Names),
  devDependencies: Schema.optionalKey(Names),
  peerDependencies: Schema.optionalKey(Names),
  bin: Schema.optionalKey(Names)
}))

const run = (directory: string, command: string, ...args: ReadonlyArray<string>) =>
  runExternal({ directory, environment: { NO_COLOR: "1" } }, command, ...args)

interface PackedPackage {
  readonly name: string
  readonly tarball: string
  readonly manifest: typeof Manifest.Type
  readonly manifestText: string
  readonly files: ReadonlyArray<string>
}

/** Every package that is for others, packed as for npm, from a clone's state in which nothing was built. */
class Packed extends Context.Service<Packed, ReadonlyArray<PackedPackage>>()("scripts/Packed") {
  static readonly layer = Layer.effect(
    Packed,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const packed: Array<PackedPackage> = []
      for (const parent of ["packages", "apps"]) {
        for (const folder of yield* fs.readDirectory(NodePath.join(root, parent))) {
          const path = NodePath.join(root, parent, folder)
          const source = yield* Schema.decodeEffect(Manifest)(yield* fs.readFileString(`${path}/package.json`))
          if (source.private === true) continue
          yield* fs.remove(`${path}/dist`, { recursive: true, force: true })
          const tarball = NodePath.join(directory, `${folder}.tgz`)
          yield* run(path, "pnpm", "pack", "--out", tarball)
          const manifestText = yield* run(directory, "tar", "-xzOf", tarball, "package/package.json")
          packed.push({
            name: source.name,
            tarball,
            manifestText,
            manifest: yield* Schema.decodeEffect(Manifest)(manifestText),
            files: (yield* run(directory, "tar", "-tzf", tarball)).trim().split("\n")
          })
        }
      }
      return packed
    }).pipe(Effect.orDie)
  ).pipe(Layer.provide(NodeServices.layer))
}

/** Where the types of a package that can be imported from begin. */
const entryPoints = ({ files, manifest }: PackedPackage) =>
  manifest.bin === undefined
    ? files.flatMap((file) => /^package\/dist\/([^/]+)\.js$/.exec(file)?.[1] ?? [])
    : []

/** As strict as TypeScript goes, the declarations of packages included. Effect's need those of a browser's cryptography. */
const compilerOptions = () => ({
  target: "ES2024",
  lib: ["ES2024", "ESNext.Collection", "ESNext.Disposable", "DOM"],
  module: "NodeNext",
  moduleResolution: "NodeNext",
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  types: ["node"]
})

/** Uses a schema, a service and its error of each library, and what nobody may. */
const user = `import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { type MappingRequest, requestRecord } from "@origin-regions/domain/MappingRequest"
import { canonicalize, type OriginIp } from "@origin-regions/domain/OriginIp"
import { kafkaJs } from "@origin-regions/emitter/KafkaJs"
import { memoryKafka } from "@origin-regions/emitter/MemoryKafka"
import { makeEmitter, type PromiseEmitter } from "@origin-regions/emitter/PromiseEmitter"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { Effect } from "effect"
import type { Kafka, Producer } from "kafkajs"

const ip: OriginIp | undefined = canonicalize("2001:0DB8:0:0::10")
export const toKafka = (request: MappingRequest) => requestRecord(request)
export const partitions: Effect.Effect<number, KafkaError, KafkaAdmin> =
  KafkaAdmin.use(({ partitionCount }) => partitionCount("origin-regions.requests"))
export const byTheirs = (kafka: Kafka, producer: Producer): PromiseEmitter =>
  makeEmitter({ source: "/test", kafka: kafkaJs(kafka, { producer }) })

console.log(ip)
const emitter = makeEmitter({ source: "/test", kafka: memoryKafka() })
console.log((await emitter.request({ operation: "delete", zone_id: "z", ip: "::0001" })).event.subject)
await emitter.close()
console.log(KafkaAdmin.key, OriginRegionsApi.key)
try {
  await import("@origin-regions/kafka/internal/KafkaClient" as string)
} catch (error) {
  console.log(error instanceof Error && "code" in error ? error.code : error)
}
`

layer(Layer.mergeAll(Packed.layer, NodeServices.layer), { excludeTestServices: true, timeout: "10 minutes" })(
  "The packages",
  (it) => {
    it.effect("are those for others, and need no other of ours", () =>
      Effect.gen(function*() {
        const packed = yield* Packed
        const names = packed.map(({ name }) => name)
        assert.includeMembers(names, [
          "@origin-regions/domain",
          "@origin-regions/kafka",
          "@origin-regions/api-client",
          "@origin-regions/api",
          "@origin-regions/cli",
          "@origin-regions/consumer",
          "@origin-regions/emitter",
          "@origin-regions/settings",
          "@origin-regions/telemetry"
        ])
        for (const { manifest, manifestText } of packed) {
          assert.notMatch(manifestText, /"(workspace|catalog|link|file):/)
          assert.isUndefined(manifest.devDependencies)
          const needed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
          assert.deepStrictEqual(
            needed.filter((name) => name.startsWith("@origin-regions/") && !names.includes(name)),
            []
          )
        }
      }))

    it.effect("hold JavaScript and its types, and neither sources nor tests", () =>
      Effect.gen(function*() {
        for (const { files } of yield* Packed) {
          for (const file of files) {
            assert.match(
              file,
              /^package\/(LICENSE|README\.md|package\.json|dist\/.*(\.js|\.json|\.d\.ts)|dist\/page\/.*\.(html|css|svg))$/
            )
            assert.notMatch(file, /test|fixtures|bench|vectors/)
          }
          assert.includeMembers([...files], ["package/LICENSE", "package/README.md"])
        }
      }))

    it.effect("have manifests that publint finds nothing in", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        for (const { manifest, name, tarball } of yield* Packed) {
          const bytes = yield* fs.readFile(tarball)
          const { messages } = yield* Effect.promise(() =>
            publint({ pack: { tarball: Uint8Array.from(bytes).buffer }, strict: true, level: "suggestion" })
          )
          assert.deepStrictEqual(messages.map((message) => `${name}: ${formatMessage(message, { ...manifest })}`), [])
        }
      }))

    it.effect("have types that resolve for whoever imports them", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        for (const item of yield* Packed) {
          const entries = entryPoints(item)
          if (entries.length === 0) continue
          const data = createPackageFromTarballData(yield* fs.readFile(item.tarball))
          const analysis = yield* Effect.promise(() => checkPackage(data, { entrypoints: entries }))
          if (!("entrypoints" in analysis)) return assert.fail(`${item.name} has no types`)
          assert.containsAllKeys(analysis.entrypoints, entries.map((entry) => `./${entry}`))
          // That CommonJS may only import() them is as it should be, and what knows no `exports` is too old to be served.
          const problems = analysis.problems.filter((problem) =>
            problem.kind !== "CJSResolvesToESM" && !("resolutionKind" in problem && problem.resolutionKind === "node10")
          )
          assert.deepStrictEqual(problems.map((problem) => JSON.stringify(problem)), [])
        }
      }))

    it.effect("install into an empty project, where their types and their code work", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const project = yield* fs.makeTempDirectoryScoped()
        const packed = yield* Packed
        yield* fs.writeFileString(`${project}/package.json`, JSON.stringify({ private: true, type: "module" }))
        yield* run(
          project,
          "npm",
          "install",
          "--no-audit",
          "--no-fund",
          "--prefer-offline",
          "--loglevel=error",
          "@types/node@24",
          ...packed.map(({ tarball }) => tarball)
        )
        yield* fs.writeFileString(
          `${project}/tsconfig.json`,
          JSON.stringify({ compilerOptions: compilerOptions(), include: ["*.ts"] })
        )
        yield* fs.writeFileString(`${project}/user.ts`, user)
        yield* run(project, process.execPath, NodePath.join(root, "node_modules/typescript/bin/tsc"))
        assert.deepStrictEqual((yield* run(project, process.execPath, "user.js")).trim().split("\n"), [
          "2001:db8::10",
          "z/::1",
          "@origin-regions/kafka/KafkaAdmin @origin-regions/api-client/OriginRegionsApi",
          "ERR_PACKAGE_PATH_NOT_EXPORTED"
        ])
        const version = JSON.parse(yield* fs.readFileString(NodePath.join(root, "apps/cli/package.json"))).version
        assert.include(yield* run(project, "npx", "--no", "--", "origin-regions", "--version"), version)
        assert.include(yield* run(project, "npx", "--no", "--", "origin-regions", "--help"), "emit")
        for (const program of ["origin-regions-api", "origin-regions-consumer"]) {
          assert.match((yield* Effect.flip(run(project, "npx", "--no", "--", program))).message, /is not set: expected/)
        }
      }))
  }
)
