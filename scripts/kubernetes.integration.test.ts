import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { readSettings } from "@origin-regions/consumer/Settings"
import { Duration, Effect, FileSystem, Result, Schema } from "effect"
import { spawnSync } from "node:child_process"
import * as NodePath from "node:path"
import { parseAllDocuments } from "yaml"
import { root } from "./Command.ts"
import { runExternal } from "./ExternalCommand.ts"

// kubectl brings Kustomize, and needs no cluster for it. Where neither is installed, the tests are reported as skipped.
const kustomize = [["kubectl", "kustomize"], ["kustomize", "build"]].find(([command = ""]) =>
  spawnSync(command, ["version", "--client"]).error === undefined
)

const folder = NodePath.join(root, "deploy/kubernetes")

const Labels = Schema.Record(Schema.String, Schema.String)
const Selector = Schema.Struct({ matchLabels: Labels })
const Peers = Schema.optionalKey(Schema.Array(Schema.Struct({ podSelector: Schema.optionalKey(Selector) })))
const Rules = Schema.optionalKey(Schema.Array(Schema.Struct({ from: Peers, to: Peers })))
const SecurityContext = Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))

const Container = Schema.Struct({
  image: Schema.String,
  livenessProbe: Schema.optionalKey(Schema.Unknown),
  readinessProbe: Schema.optionalKey(Schema.Unknown),
  resources: Schema.optionalKey(Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.String))),
  securityContext: SecurityContext
})

const Pod = Schema.Struct({
  metadata: Schema.Struct({ labels: Labels }),
  spec: Schema.Struct({
    automountServiceAccountToken: Schema.Boolean,
    containers: Schema.Array(Container),
    securityContext: SecurityContext,
    terminationGracePeriodSeconds: Schema.Int
  })
})

/** What of the resources' fields is looked at here; whether all of them are right is told by Kubernetes' own schemas. */
const Resource = Schema.Struct({
  apiVersion: Schema.String,
  kind: Schema.String,
  metadata: Schema.Struct({ name: Schema.String }),
  data: Schema.optionalKey(Labels),
  spec: Schema.optionalKey(Schema.Struct({
    template: Schema.optionalKey(Pod),
    replicas: Schema.optionalKey(Schema.Int),
    selector: Schema.optionalKey(Schema.Union([Selector, Labels])),
    podSelector: Schema.optionalKey(Selector),
    ingress: Rules,
    egress: Rules
  }))
})
type Resource = typeof Resource.Type

/** Everything that a folder makes, as it comes and as far as it is looked at. */
const build = Effect.fnUntraced(function*(name: string) {
  const [command = "", ...args] = kustomize ?? []
  const text = yield* runExternal({ directory: folder }, command, ...args, name)
  const raw = parseAllDocuments(text).map((document) => document.toJS() as unknown)
  return { raw, resources: yield* Schema.decodeUnknownEffect(Schema.Array(Resource))(raw) }
})

const packages: Readonly<Record<string, string>> = {
  "keda.sh": "@kubernetes-models/keda/",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/"
}

/** The module that has the schema of a kind, made of Kubernetes' OpenAPI document or of the CustomResourceDefinition. */
const moduleOf = ({ apiVersion, kind }: Resource) =>
  `${packages[apiVersion.split("/")[0] ?? ""] ?? "kubernetes-models/"}${apiVersion}/${kind}`

interface ModelModule {
  readonly [kind: string]: new(resource: unknown) => { validate(): void }
}

const workloads = (resources: ReadonlyArray<Resource>) =>
  resources.flatMap(({ metadata, spec }) =>
    spec?.template === undefined ? [] : { name: metadata.name, pod: spec.template }
  )

const named = (resources: ReadonlyArray<Resource>, kind: string, name: string) =>
  resources.find((resource) => resource.kind === kind && resource.metadata.name.startsWith(name))

const replicas = (resources: ReadonlyArray<Resource>) =>
  named(resources, "Deployment", "origin-regions-consumer")?.spec?.replicas

/** A Service's selector is nothing but labels. */
const labelsOf = (selector: typeof Selector.Type | typeof Labels.Type): typeof Labels.Type =>
  Schema.is(Selector)(selector) ? selector.matchLabels : selector

/** How many seconds a program takes at most to end, as its source says. */
const secondsToEnd = (source: string, constant: string) =>
  FileSystem.FileSystem.use((fs) => fs.readFileString(NodePath.join(root, source))).pipe(
    Effect.map((text) => Number(new RegExp(`const ${constant} = Duration\\.seconds\\((\\d+)\\)`).exec(text)?.[1]))
  )

layer(NodeServices.layer, { excludeTestServices: true })("The Kubernetes manifests", (it) => {
  it.effect.skipIf(kustomize === undefined)(
    "are what Kubernetes, KEDA and the Prometheus Operator take",
    () =>
      Effect.gen(function*() {
        const { raw, resources } = yield* build("example")
        for (const [index, resource] of resources.entries()) {
          const module = yield* Effect.promise(() => import(moduleOf(resource)) as Promise<ModelModule>)
          const KnownModel = module[resource.kind]
          if (KnownModel === undefined) return assert.fail(`No schema of ${resource.apiVersion} ${resource.kind}`)
          const checked = Result.try(() => new KnownModel(raw[index]).validate())
          assert.deepStrictEqual(checked, Result.succeed(undefined), `${resource.kind} ${resource.metadata.name}`)
        }
        assert.includeMembers(resources.map(({ kind }) => kind), [
          "Deployment",
          "NetworkPolicy",
          "PodDisruptionBudget",
          "PodMonitor",
          "ScaledObject",
          "StatefulSet"
        ])
      })
  )

  // Schemas let fields pass that they don't know; TypeScript does not.
  it.effect.skipIf(kustomize === undefined)("have no field that these don't know", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { raw, resources } = yield* build("example")
      const results = NodePath.join(import.meta.dirname, ".test-results")
      yield* fs.makeDirectory(results, { recursive: true })
      const directory = yield* fs.makeTempDirectoryScoped({ directory: results })
      const lines = resources.map((resource, index) =>
        `import type { I${resource.kind} as T${index} } from "${moduleOf(resource)}"\n` +
        `export const r${index}: T${index} = ${JSON.stringify(raw[index])}\n`
      )
      yield* fs.writeFileString(`${directory}/resources.ts`, lines.join(""))
      yield* runExternal(
        { directory },
        process.execPath,
        NodePath.join(root, "node_modules/typescript/bin/tsc"),
        ..."--noEmit --strict --skipLibCheck --module nodenext --types node --ignoreConfig resources.ts".split(" ")
      )
    }))

  it.effect.skipIf(kustomize === undefined)(
    "run pods that the restricted profile lets in",
    () =>
      Effect.gen(function*() {
        const { resources } = yield* build("example")
        assert.lengthOf(workloads(resources), 2)
        for (const { name, pod } of workloads(resources)) {
          assert.isFalse(pod.spec.automountServiceAccountToken, name)
          const { runAsNonRoot, runAsUser, seccompProfile } = pod.spec.securityContext ?? {}
          assert.deepStrictEqual(
            [runAsNonRoot, runAsUser, seccompProfile],
            [true, 1000, { type: "RuntimeDefault" }],
            name
          )
          for (const { image, livenessProbe, readinessProbe, resources, securityContext } of pod.spec.containers) {
            assert.deepStrictEqual(securityContext, {
              allowPrivilegeEscalation: false,
              capabilities: { drop: ["ALL"] },
              readOnlyRootFilesystem: true
            }, name)
            assert.isDefined(livenessProbe, name)
            assert.isDefined(readinessProbe, name)
            assert.hasAllKeys(resources, ["limits", "requests"], name)
            assert.match(image, /^registry\.example\.com\/.*:\d/)
          }
        }
      })
  )

  it.effect.skipIf(kustomize === undefined)("select the pods that they are about", () =>
    Effect.gen(function*() {
      const { resources } = yield* build("example")
      const selected = (labels: Readonly<Record<string, string>>) =>
        workloads(resources).flatMap(({ name, pod }) =>
          Object.entries(labels).every(([key, value]) => pod.metadata.labels[key] === value) ? name : []
        )
      const selecting = resources.flatMap(({ kind, metadata: { name }, spec }) => {
        const selector = spec?.podSelector ?? spec?.selector
        return selector === undefined ? [] : { kind, name, labels: labelsOf(selector) }
      })
      assert.sameMembers(
        selecting.map(({ kind }) => kind),
        [
          "Deployment",
          "StatefulSet",
          "Service",
          "PodDisruptionBudget",
          "NetworkPolicy",
          "NetworkPolicy",
          "PodMonitor",
          "PodMonitor"
        ]
      )
      for (const { kind, labels, name } of selecting) assert.deepStrictEqual(selected(labels), [name], kind)
      const reached = (name: string) => {
        const { egress = [], ingress = [] } = named(resources, "NetworkPolicy", name)?.spec ?? {}
        return [...ingress.flatMap(({ from = [] }) => from), ...egress.flatMap(({ to = [] }) => to)]
          .flatMap(({ podSelector }) => podSelector === undefined ? [] : selected(podSelector.matchLabels))
      }
      assert.deepStrictEqual(reached("origin-regions-api"), ["origin-regions-consumer"])
      assert.deepStrictEqual(reached("origin-regions-consumer"), ["origin-regions-api"])
    }))

  it.effect.skipIf(kustomize === undefined)(
    "give the programs the time that they take to end, and settings that they know",
    () =>
      Effect.gen(function*() {
        const { resources } = yield* build("example")
        const grace = new Map(
          workloads(resources).map(({ name, pod }) => [name, pod.spec.terminationGracePeriodSeconds])
        )
        const leaving = yield* secondsToEnd("apps/consumer/src/Program.ts", "LEAVE_TIMEOUT")
        const settings = named(resources, "ConfigMap", "origin-regions-consumer")?.data ?? {}
        const read = readSettings({ ...settings, CLOUDFLARE_API_TOKEN: "token" })
        if (Result.isFailure(read)) return assert.fail(JSON.stringify(read.failure))
        const settling = Duration.toSeconds(read.success.drainTimeout)
        assert.isAbove(grace.get("origin-regions-consumer") ?? 0, settling + leaving)
        const api = yield* secondsToEnd("apps/api/src/ApiServer.ts", "grace")
        // Its preStop waits three seconds.
        assert.isAbove(grace.get("origin-regions-api") ?? 0, 3 + api)
      })
  )

  it.effect.skipIf(kustomize === undefined)(
    "leave the number of consumers to KEDA, where it is used",
    () =>
      Effect.gen(function*() {
        assert.strictEqual(replicas((yield* build("consumer")).resources), 2)
        assert.isUndefined(replicas((yield* build("example")).resources))
      })
  )
})
