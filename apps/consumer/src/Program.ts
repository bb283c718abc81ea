import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaConsumer } from "@origin-regions/kafka/KafkaConsumer"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { KafkaTransactions } from "@origin-regions/kafka/KafkaTransactions"
import { ownerOf } from "@origin-regions/kafka/ProgressMetadata"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { loggerOf } from "@origin-regions/settings/LogFormat"
import { SettingsError } from "@origin-regions/settings/SettingsError"
import * as Tracing from "@origin-regions/telemetry/Tracing"
import {
  Cause,
  Console,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  References,
  Result,
  Runtime,
  Scope
} from "effect"
import { SecureRandom } from "effect/crypto"
import { Attempt } from "./Attempt.ts"
import { layerAtLeastOnce } from "./Delivery/AtLeastOnce.ts"
import { layerExactlyOnce } from "./Delivery/ExactlyOnce.ts"
import { EndOffsets } from "./EndOffsets.ts"
import { GroupMember } from "./GroupMember.ts"
import * as HttpServer from "./HttpServer.ts"
import { OutcomeHistory } from "./OutcomeHistory.ts"
import { Pipeline } from "./Pipeline.ts"
import * as ProcessMetrics from "./ProcessMetrics.ts"
import { PublishedOutcomes } from "./PublishedOutcomes.ts"
import { readSettings, type Settings } from "./Settings.ts"

const logging = ({ logFormat, logLevel }: Settings) =>
  Layer.merge(Logger.layer([loggerOf(logFormat)]), Layer.succeed(References.MinimumLogLevel, logLevel))

const delivery = (settings: Settings, processId: string) => {
  if (settings.delivery === "at-least-once") {
    return layerAtLeastOnce(settings).pipe(Layer.provide(KafkaProducer.layer(settings.kafka)))
  }
  const transactionalId = `${settings.groupId}-${processId}`
  return layerExactlyOnce({ ...settings, transactionalId }).pipe(
    Layer.provide(
      KafkaTransactions.layer(settings.kafka, {
        groupId: settings.groupId,
        topic: settings.requestsTopic,
        outputTopics: [settings.outcomesTopic, settings.deadLettersTopic],
        transactionalId,
        ownerOf
      })
    )
  )
}

const application = (settings: Settings) => {
  const kafka = KafkaConsumer.layerNoDeps(settings.kafka).pipe(Layer.provideMerge(KafkaAdmin.layer(settings.kafka)))
  const published = PublishedOutcomes.layerNoDeps(settings).pipe(
    Layer.provide([KafkaScan.layer(settings.kafka), kafka])
  )
  const api = OriginRegionsApi.layerNoDeps.pipe(Layer.provide(Layer.succeed(ApiSettings, settings.api)))
  const delivering = Layer.unwrap(
    Effect.map(Effect.flatMap(SecureRandom.SecureRandom, ({ uuidV4 }) => uuidV4()), (id) => delivery(settings, id))
  ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
  return HttpServer.layer({ ...settings, host: settings.httpHost, port: settings.httpPort, token: settings.httpToken })
    .pipe(
      Layer.provide([EndOffsets.layer(settings), ProcessMetrics.layer]),
      Layer.provideMerge(GroupMember.layer(settings)),
      Layer.provide(Pipeline.layer(settings)),
      Layer.provide(Attempt.layer(settings)),
      Layer.provide([delivering, published]),
      Layer.provide([kafka, api, OutcomeHistory.layer]),
      // Ends last: what ends before it still has spans to send.
      Layer.provide(Tracing.layer(settings.traces))
    )
}

/** What comes after a stop has settled what is in flight: the group is left, and connections are closed. */
const LEAVE_TIMEOUT = Duration.seconds(3)

/** Ends all there is in its order, but does not wait for what does not end in time: the process ends it. */
const close = Effect.fnUntraced(
  function*(scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>, { drainTimeout }: Settings) {
    const closing = yield* Effect.forkDetach(Scope.close(scope, exit))
    yield* Effect.timeoutOption(Fiber.await(closing), Duration.sum(drainTimeout, LEAVE_TIMEOUT))
  }
)

const main = Effect.gen(function*() {
  const settings = Result.flatMap(completeEnvironment(process.env), ({ environment }) => readSettings(environment))
  if (Result.isFailure(settings)) return yield* new SettingsError({ problems: settings.failure })
  const scope = yield* Scope.make()
  return yield* Layer.buildWithScope(application(settings.success), scope).pipe(
    Effect.flatMap((context) => Context.get(context, GroupMember).failure),
    Effect.tapDefect((defect) => Effect.logFatal("Crashed", defect)),
    Effect.onExit((exit) => close(scope, exit, settings.success)),
    Effect.provide(logging(settings.success))
  )
})

main.pipe(
  // Whatever can be expected to keep it from running is a message for the person who runs it.
  Effect.tapError((error) => Console.error(error.message)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) =>
      Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
  })
)
