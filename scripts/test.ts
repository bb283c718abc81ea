/** Runs every test of every package, or of the packages whose folders are named, on one broker. */
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect, FileSystem, Path, Schema } from "effect"
import { root, runCommand } from "./Command.ts"
import { print, printError, runScript } from "./ScriptRuntime.ts"
import { allPassed, describeReports, readTestReport } from "./test/TestReport.ts"

class NoSuchPackage extends Schema.TaggedError<NoSuchPackage>()("NoSuchPackage", { folder: Schema.String }) {
  override get message() {
    return `${this.folder} has no tests to run: name a package's folder, for example packages/domain.`
  }
}

const Manifest = Schema.fromJsonString(Schema.Struct({
  scripts: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  dependencies: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  devDependencies: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
}))

interface TestedPackage {
  readonly folder: string
  readonly usesTestkit: boolean
}

const resultFile = (folder: string) => `${root}/${folder}/.test-results/vitest.json`

/** Every folder of the workspace whose package has a `test` script. */
const findPackages = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folders = ["scripts"]
  for (const parent of ["packages", "apps"]) {
    for (const name of yield* fs.readDirectory(path.join(root, parent))) folders.push(`${parent}/${name}`)
  }
  const packages: Array<TestedPackage> = []
  for (const folder of folders.sort()) {
    const manifestPath = path.join(root, folder, "package.json")
    if (!(yield* fs.exists(manifestPath))) continue
    const manifest = yield* Schema.decodeEffect(Manifest)(yield* fs.readFileString(manifestPath))
    if (manifest.scripts?.["test"] === undefined) continue
    const usesTestkit = "@origin-regions/testkit" in { ...manifest.dependencies, ...manifest.devDependencies }
    packages.push({ folder, usesTestkit })
  }
  return packages
}).pipe(Effect.orDie)

const selectPackages = Effect.fnUntraced(function*(named: ReadonlyArray<string>) {
  const packages = yield* findPackages
  if (named.length === 0) return packages
  return yield* Effect.forEach(named, (name) => {
    const folder = name.replace(/^\.\//, "").replace(/\/+$/, "")
    const found = packages.find((candidate) => candidate.folder === folder)
    return found === undefined ? Effect.fail(new NoSuchPackage({ folder: name })) : Effect.succeed(found)
  })
})

/** Two packages at a time: many tests wait for brokers and processes, and two take two thirds of the time of one after the other on two cores. */
const runTurbo = (packages: ReadonlyArray<TestedPackage>, environment: Readonly<Record<string, string>>) =>
  runCommand({
    script: [
      "node_modules/turbo/bin/turbo",
      "run",
      "test",
      "--continue",
      "--concurrency=2",
      "--log-order=grouped",
      "--output-logs=full",
      "--log-prefix=none",
      ...packages.map(({ folder }) => `--filter=./${folder}`)
    ],
    environment: process.stdout.isTTY ? environment : { ...environment, FORCE_COLOR: "0", NO_COLOR: "1" },
    output: "show"
  })

const withBroker = (packages: ReadonlyArray<TestedPackage>) =>
  KafkaBroker.use(({ brokers, crashed }) =>
    Effect.raceFirst(runTurbo(packages, { KAFKA_BROKERS: brokers.join(",") }), crashed)
  ).pipe(Effect.provide(KafkaBroker.layerWith({ progress: printError })))

const main = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const packages = yield* selectPackages(process.argv.slice(2))
  for (const { folder } of packages) yield* Effect.orDie(fs.remove(resultFile(folder), { force: true }))
  yield* packages.some(({ usesTestkit }) => usesTestkit) ? withBroker(packages) : runTurbo(packages, {})
  const reports = yield* Effect.forEach(packages, ({ folder }) =>
    fs.readFileString(resultFile(folder)).pipe(
      Effect.orElseSucceed(() => undefined),
      Effect.map((json) => readTestReport(folder, json))
    ))
  for (const line of describeReports(reports)) yield* print(line)
  return allPassed(reports) ? 0 : 1
})

runScript(main)
