import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { spawn } from "./ChildProcess.ts"
import { processIsGone, until } from "./internal/fixtures/Facts.ts"
import { createTopic, hasTopic } from "./internal/fixtures/Topics.ts"
import { KafkaBroker } from "./KafkaBroker.ts"
import { Leash } from "./Leash.ts"

const address = (broker: KafkaBroker["Service"]) => broker.brokers[0] ?? ""

const held = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ instance: Schema.String })))

const withSettings = (layer: typeof KafkaBroker.layer, settings: Record<string, string>) =>
  layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings))))

const failureOf = (layer: typeof KafkaBroker.layer) => Effect.flip(Effect.provide(KafkaBroker, layer))

const providers = [
  { provider: "jvm", layer: KafkaBroker.layerJvm, isGone: (instance: string) => processIsGone(Number(instance)) }
] as const

const directory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(`${tmpdir()}/testkit-`)),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

describe.each(providers)("KafkaBroker on $provider", ({ isGone, layer, provider }) => {
  it.effect("serves, and comes back at its address with its data after a restart and after a kill", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      assert.strictEqual(broker.provider, provider)
      yield* createTopic(address(broker), "before-restart")
      const first = yield* broker.instance
      yield* broker.restart
      assert.notStrictEqual(yield* broker.instance, first)
      assert.isTrue(yield* hasTopic(address(broker), "before-restart"))
      assert.isFalse(yield* hasTopic(address(broker), "never-made"))

      yield* createTopic(address(broker), "before-kill")
      yield* broker.kill
      assert.isUndefined(yield* broker.instance)
      assert.strictEqual(yield* Effect.flip(hasTopic(address(broker), "x")), `connect ECONNREFUSED ${address(broker)}`)
      yield* broker.start
      assert.isTrue(yield* hasTopic(address(broker), "before-restart"))
      assert.isTrue(yield* hasTopic(address(broker), "before-kill"))
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
            resume(Effect.succeed({ port, close: () => server.close() }))
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

describe("KafkaBroker on the JVM", () => {
  it.effect("keeps its data in a directory across processes and ports, one broker at a time", () =>
    Effect.gen(function*() {
      const dataDirectory = yield* directory
      const layer = () => KafkaBroker.layerJvm({ dataDirectory })
      const first = yield* Effect.gen(function*() {
        const broker = yield* KafkaBroker
        yield* createTopic(address(broker), "kept")
        const second = yield* Effect.flip(Effect.provide(KafkaBroker, Layer.fresh(layer())))
        assert.include(second.message, `already runs on ${dataDirectory}`)
        return address(broker)
      }).pipe(Effect.provide(layer()))
      yield* Effect.gen(function*() {
        const broker = yield* KafkaBroker
        assert.notStrictEqual(address(broker), first)
        assert.isTrue(yield* hasTopic(address(broker), "kept"))
      }).pipe(Effect.provide(Layer.fresh(layer())))
    }).pipe(Effect.scoped))

  it.effect("tells when the broker ends unasked, with the end of its log, and can start it again", () =>
    Effect.gen(function*() {
      const broker = yield* KafkaBroker
      process.kill(Number(yield* broker.instance), "SIGKILL")
      const error = yield* Effect.flip(broker.crashed)
      assert.include(error.message, "Kafka ended with signal SIGKILL. The end of its log:\n")
      assert.include(error.message, "Kafka Server started")
      yield* broker.start
      assert.isFalse(yield* hasTopic(address(broker), "never-made"))
    }).pipe(Effect.provide(KafkaBroker.layerJvm())))

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

  it.effect("says what is wrong with KAFKA_BROKERS", () =>
    Effect.gen(function*() {
      const error = yield* failureOf(withSettings(KafkaBroker.layer, { KAFKA_BROKERS: "one:9092,two" }))
      assert.strictEqual(
        error.message,
        "KAFKA_BROKERS must be host:port, or several with commas between, for example 127.0.0.1:9092; it is \"one:9092,two\"."
      )
    }))
})
