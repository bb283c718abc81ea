import { assert, describe, it } from "@effect/vitest"
import { KafkaError, Unreachable } from "@origin-regions/kafka/KafkaError"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { Result } from "effect"
import { kafkaFailed } from "./CliSettings.ts"

const fixOf = (detail: string, KAFKA_TLS: string) => {
  const kafka = Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: "127.0.0.1:9092", KAFKA_TLS }))
  const error = new KafkaError({ operation: "connect to Kafka", reason: new Unreachable({ detail }) })
  const topics = { requestsTopic: "requests", outcomesTopic: "outcomes", deadLettersTopic: "dead-letters" }
  return kafkaFailed(error, { kafka, ...topics }).message.split("\n")[1]
}

describe("kafkaFailed", () => {
  it.each<readonly [string, string, RegExp]>([
    ["connect ECONNREFUSED 127.0.0.1:9092", "false", /^Is a broker running/],
    // As kafkajs says it of a port with TLS, and of one without.
    ["Closed connection (127.0.0.1:9092)", "false", /set KAFKA_TLS=true/],
    [
      "Connection error: Client network socket disconnected before secure TLS connection was established",
      "true",
      /does not speak TLS: leave out KAFKA_TLS/
    ],
    ["Closed connection (127.0.0.1:9092)", "true", /^Is a broker running/]
  ])("knows a fix for \"%s\" with KAFKA_TLS=%s", (detail, tls, expected) => {
    assert.match(fixOf(detail, tls) ?? "", expected)
  })
})
