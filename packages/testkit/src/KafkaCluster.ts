import { Context, Effect, Layer } from "effect"
import type { Broker } from "./internal/Broker.ts"
import { jvmCluster } from "./internal/JvmBroker.ts"
import { layerRealTime } from "./internal/RealTime.ts"
import type { KafkaBrokerOptions } from "./KafkaBroker.ts"
import type { KafkaBrokerError } from "./KafkaBrokerError.ts"
import { Leash } from "./Leash.ts"

/** A broker among others. Node 1 is their controller: without it leaders don't move. */
export interface ClusterNode extends Pick<Broker, "start" | "stop" | "kill" | "instance"> {
  readonly nodeId: number
}

export interface ClusterOptions extends Pick<KafkaBrokerOptions, "progress" | "properties"> {
  /** How many brokers. Default: 3. */
  readonly size?: number
}

/** Real Kafka brokers on the JVM that take over from each other: topics are on all of them unless they say otherwise. */
export class KafkaCluster extends Context.Service<KafkaCluster, {
  /** Bootstrap addresses, each `host:port`. */
  readonly brokers: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<ClusterNode>
}>()("@origin-regions/testkit/KafkaCluster") {
  static readonly layerJvm = (
    { progress = Effect.logInfo, properties = {}, size = 3 }: ClusterOptions = {}
  ): Layer.Layer<KafkaCluster, KafkaBrokerError> =>
    Layer.effect(
      KafkaCluster,
      Effect.map(jvmCluster({ size, progress, properties }), (nodes) =>
        KafkaCluster.of({
          brokers: nodes.flatMap(({ brokers }) => brokers),
          nodes: nodes.map(({ instance, kill, start, stop }, index) => ({
            nodeId: index + 1,
            instance,
            kill,
            start,
            stop
          }))
        }))
    ).pipe(Layer.provide([Leash.layer, layerRealTime]))
}
