import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { getContainerRuntimeClient } from "testcontainers"
import { spawn } from "./ChildProcess.ts"
import { processIsGone, until } from "./internal/fixtures/Facts.ts"
import { createTopic, hasTopic } from "./internal/fixtures/Topics.ts"
import { KafkaBroker } from "./KafkaBroker.ts"
import { Leash } from "./Leash.ts"
import { uniqueTopic } from "./Names.ts"

const address = (broker: KafkaBroker["Service"]) => broker.brokers[0] ?? ""

const held = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ instance: Schema.String })))

const withSettings = (layer: typeof KafkaBroker.layer, settings: Record<string, string>) =>
  layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings))))

const failureOf = (layer: typeof KafkaBroker.layer) => Effect.flip(Effect.provide(KafkaBroker, layer))

// Where no Docker daemon answers, its tests are reported as skipped; see CONTRIBUTING for how to have one.
const docker = await getContainerRuntimeClient().catch(() => undefined)

const providers = [
  {
    provider: "jvm",
    layer: KafkaBroker.layerJvm,
    isGone: (instance: string) => processIsGone(Number(instance)),
    killFromOutside: (instance: string) => Effect.sync(() => process.kill(Number(instance), "SIGKILL")),
    available: true
  },
  {
    provider: "testcontainers",
    layer: KafkaBroker.layerTestcontainers,
    isGone: (instance: string) =>
      Effect.promise(async () => docker?.container.getById(instance).inspect().then(() => false, () => true) ?? false),
    killFromOutside: (instance: string) => Effect.promise(async () => docker?.container.getById(instance).kill()),
    available: docker !== undefined
  }
] as const

const keepsItsData = Effect.fnUntraced(function*(layer: typeof KafkaBroker.layer) {
  const first = yield* Effect.gen(function*() {
    const broker = yield* KafkaBroker
    yield* createTopic(address(broker), "kept")
    assert.match(
      (yield* failureOf(Layer.fresh(layer))).message,
      /^A Kafka broker already runs on .*: stop that one first\.$/u
    )
    return address(broker)
  }).pipe(Effect.provide(layer))
  yield* Effect.gen(function*() {
    const broker = yield* KafkaBroker
    assert.notStrictEqual(address(broker), first)
    assert.isTrue(yield* hasTopic(address(broker), "kept"))
  }).pipe(Effect.provide(Layer.fresh(layer)))
})

const directory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(`${tmpdir()}/testkit-`)),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

for (const { available, isGone, killFromOutside, layer, provider } of providers) {
  describe.skipIf(!available)(`KafkaBroker by ${provider}`, () => {
    it.effect("serves, and comes back at its address with its data after a stop and after a kill", () =>
      Effect.gen(function*() {
        const broker = yield* KafkaBroker
        assert.strictEqual(broker.provider, provider)
        const refused = `connect ECONNREFUSED ${address(broker)}`
        yield* createTopic(address(broker), "before-stop")
        yield* broker.stop
        assert.isUndefined(yield* broker.instance)
        assert.strictEqual(yield* Effect.flip(hasTopic(address(broker), "x")), refused)
        yield* broker.start
        assert.isTrue(yield* hasTopic(address(broker), "before-stop"))
        assert.isFalse(yield* hasTopic(address(broker), "never-made"))

        yield* createTopic(address(broker), "before-kill")
        yield* broker.kill
        assert.isUndefined(yield* broker.instance)
        assert.strictEqual(yield* Effect.flip(hasTopic(address(broker), "x")), refused)
        yield* broker.start
        assert.isTrue(yield* hasTopic(address(broker), "before-stop"))
        assert.isTrue(yield* hasTopic(address(broker), "before-kill"))
      }).pipe(Effect.provide(layer())))

    it.effect("tells when the broker ends unasked, with the end of its log, and starts again", () =>
      Effect.gen(function*() {
        const broker = yield* KafkaBroker
        yield* killFromOutside((yield* broker.instance) ?? "")
        const { message } = yield* Effect.flip(broker.crashed)
        assert.match(
          message,
          /^Kafka ended with (signal SIGKILL|exit code 137)\. The end of its log:\n.*\S/su
        )
        yield* broker.start
        yield* broker.restart
        assert.isFalse(yield* hasTopic(address(broker), "never-made"))
      }).pipe(Effect.provide(layer())))

    it.effect("leaves nothing behind when the scope closes", () =>
      Effect.gen(function*() {
        const { broker, instance } = yield* Effect.gen(function*() {
          const broker = yield* KafkaBroker
          return { broker: address(broker), instance: (yield* broker.instance) ?? "" }
        }).pipe(Effect.provide(layer()))
        assert.isTrue(yield* isGone(instance))
        assert.strictEqual(yield* Effect.flip(hasTopic(broker, "x")), `connect ECONNREFUSED ${broker}`)
      }))

    it.effect("takes another port where the preferred one is taken, and broker properties", () =>
      Effect.gen(function*() {
        const taken = yield* Effect.acquireRelease(
          Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
            const server = createServer().listen(0, "127.0.0.1", () => {
              const address = server.address()
              const port = typeof address === "object" && address !== null ? address.port : 0
              resume(Effect.succeed({
                port,
                close: () => server.close()
              }))
            })
          }),
          ({ close }) => Effect.sync(close)
        )
        yield* Effect.gen(function*() {
          const broker = yield* KafkaBroker
          assert.notStrictEqual(address(broker), `127.0.0.1:${taken.port}`)
          // Our own setting is the opposite.
          yield* until(hasTopic(address(broker), "by-itself"))
        }).pipe(Effect.provide(layer({ port: taken.port, properties: { "auto.create.topics.enable": "true" } })))
      }).pipe(Effect.scoped))

    it.effect("leaves nothing behind when the process that started it is killed", () =>
      Effect.gen(function*() {
        const holder = yield* spawn({
          command: process.execPath,
          args: [fileURLToPath(new URL("./internal/fixtures/BrokerHolder.ts", import.meta.url)), provider],
          environment: process.env
        })
        const { instance } = yield* holder.firstLine(held)
        assert.isFalse(yield* isGone(instance))
        yield* holder.signal("SIGKILL")
        yield* until(isGone(instance))
      }).pipe(Effect.provide(Leash.layer)))
  })
}

describe.skipIf(docker === undefined)("KafkaBroker by testcontainers", () => {
  const volume = Effect.acquireRelease(
    Effect.map(uniqueTopic, (name) => `origin-regions-${name}`),
    (name) => Effect.promise(() => promisify(execFile)("docker", ["volume", "rm", name]))
  )

  it.effect("keeps its data in a volume across containers and ports, one broker at a time", () =>
    Effect.gen(function*() {
      const layer = KafkaBroker.layerTestcontainers({ volume: yield* volume })
      yield* keepsItsData(layer)
    }).pipe(Effect.scoped))

  it.effect("says in one sentence that an image is neither here nor to be had", () =>
    Effect.gen(function*() {
      const image = "127.0.0.1:9/no-such-image:1"
      const { message } = yield* failureOf(withSettings(KafkaBroker.layerTestcontainers(), { KAFKA_IMAGE: image }))
      assert.match(
        message,
        new RegExp(
          `^The image ${image} is not here and cannot be pulled: load it, or set KAFKA_IMAGE to another \\(.*refused.*\\)\\.$`,
          "u"
        )
      )
    }))

  it.effect("shows what a broker said that ended while starting", () =>
    Effect.gen(function*() {
      const { message } = yield* failureOf(
        KafkaBroker.layerTestcontainers({ properties: { "process.roles": "juggler" } })
      )
      assert.match(message, /^Kafka (ended with exit code 1|could not be started).*juggler/su)
    }))
})

describe("KafkaBroker by jvm", () => {
  it.effect("keeps its data in a directory across processes and ports, one broker at a time", () =>
    Effect.gen(function*() {
      yield* keepsItsData(KafkaBroker.layerJvm({ dataDirectory: yield* directory }))
    }).pipe(Effect.scoped))

  it.effect("says in one sentence that Java is missing or too old", () =>
    Effect.gen(function*() {
      const home = yield* directory
      const java = `${home}/bin/java`
      const withJavaHome = withSettings(KafkaBroker.layerJvm(), { JAVA_HOME: home })
      assert.strictEqual(
        (yield* failureOf(withJavaHome)).message,
        `Java was not found as ${java}: install Java 17 or later, or set JAVA_HOME to where it is.`
      )
      yield* Effect.promise(async () => {
        await mkdir(`${home}/bin`)
        await writeFile(java, `#!/bin/sh\necho "    java.specification.version = 11" >&2\n`, { mode: 0o755 })
      })
      assert.strictEqual(
        (yield* failureOf(withJavaHome)).message,
        `Kafka needs Java 17 or later, and ${java} is Java 11: install a newer one, or set JAVA_HOME to where it is.`
      )
    }).pipe(Effect.scoped))
})

describe("KafkaBroker.layer", () => {
  it.effect("uses the brokers of KAFKA_BROKERS, and leaves them alone", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      assert.deepStrictEqual(broker.brokers, ["one:9092", "[::1]:9093"])
      assert.strictEqual(broker.provider, "external")
      assert.strictEqual(
        (yield* Effect.flip(broker.kill)).message,
        "A broker from KAFKA_BROKERS cannot be asked to kill: unset KAFKA_BROKERS to have one started."
      )
    }).pipe(Effect.provide(withSettings(KafkaBroker.layer, { KAFKA_BROKERS: "one:9092, [::1]:9093" }))))

  const noImage = { KAFKA_IMAGE: "127.0.0.1:9/no-such-image:1" }

  it.effect("starts a broker on the JVM where Docker or its image is missing", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* KafkaBroker).provider, "jvm")
    }).pipe(Effect.provide(withSettings(KafkaBroker.layer, noImage))))

  it.effect("says in one sentence what there could be where there is nothing", () =>
    Effect.gen(function*() {
      const settings = { ...noImage, JAVA_HOME: yield* directory }
      assert.match(
        (yield* failureOf(withSettings(KafkaBroker.layer, settings))).message,
        /^There is no way to a Kafka broker: set KAFKA_BROKERS, start Docker, or install Java 17 or later with Maven \(.*Java was not found/u
      )
    }).pipe(Effect.scoped))

  it.effect("says what is wrong with KAFKA_BROKERS", () =>
    Effect.gen(function*() {
      const error = yield* failureOf(withSettings(KafkaBroker.layer, { KAFKA_BROKERS: "one:9092,two" }))
      assert.strictEqual(
        error.message,
        "KAFKA_BROKERS must be host:port, or several with commas between, for example 127.0.0.1:9092; it is \"one:9092,two\"."
      )
    }))
})
