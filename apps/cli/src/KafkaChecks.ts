import type { Settings } from "@origin-regions/consumer/Settings"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import type { KafkaError } from "@origin-regions/kafka/KafkaError"
import { KafkaInspection, type Operation } from "@origin-regions/kafka/KafkaInspection"
import { Effect, Layer } from "effect"
import type { Finding } from "./ConfigReport.ts"

const finding = (check: string, effect: Effect.Effect<string, { readonly message: string }>): Effect.Effect<Finding> =>
  Effect.match(effect, {
    onSuccess: (detail): Finding => ({ check, result: "ok", detail }),
    onFailure: ({ message }): Finding => ({ check, result: "failed", detail: message })
  })

const unknown = (check: string, detail: string): Finding => ({ check, result: "unknown", detail })

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`

/** The error with what to do about it. */
const withFix = (fix: string) => ({ message, reason }: KafkaError) => ({
  message: reason._tag === "Unreachable" ? message : `${message}: ${fix}`
})

const missing = (needed: Operation, of: string, operations: ReadonlyArray<Operation>) =>
  operations.includes(needed)
    ? Effect.void
    : Effect.fail({ message: `${needed} is not allowed: the consumer's user needs an ACL for ${needed} on ${of}` })

/** Whether the consumer can do its work on Kafka, as far as that shows without doing any of it. */
export const checkKafka = (settings: Settings): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function*() {
    const inspection = yield* KafkaInspection
    const admin = yield* KafkaAdmin
    const bootstrap = yield* Effect.forEach(
      settings.kafka.brokers,
      (address) =>
        finding(`bootstrap broker ${address}`, Effect.as(inspection.bootstrap(address), howConnected(settings))),
      { concurrency: "unbounded" }
    )
    if (bootstrap.every(({ result }) => result === "failed")) {
      return [...bootstrap, unknown("topics, group, transactions", "no bootstrap broker can be used")]
    }

    const brokers = yield* Effect.result(inspection.brokers)
    const members = brokers._tag === "Failure"
      ? [{ check: "all brokers", result: "failed", detail: brokers.failure.message } as const]
      : yield* Effect.forEach(brokers.success, (broker) =>
        finding(
          `broker ${broker.nodeId}`,
          Effect.as(inspection.connect(broker), `answers at the address that it gives to clients: ${broker.address}`)
        ), { concurrency: "unbounded" })

    const topic = (setting: string, name: string, ...needed: readonly [Operation, ...ReadonlyArray<Operation>]) =>
      finding(
        `topic ${name}`,
        Effect.gen(function*() {
          const fix = `create it, set ${setting} to another one, or let the consumer's user see it`
          const { operations, partitions } = yield* Effect.mapError(inspection.topic(name), withFix(fix))
          for (const each of needed) yield* missing(each, `the topic ${name}`, operations)
          return `${count(partitions, "partition")}, ${needed.join(" and ")} ${
            needed.length === 1 ? "is" : "are"
          } allowed`
        })
      )
    const { deadLettersTopic, delivery, groupId, outcomesTopic, requestsTopic } = settings
    const found = yield* Effect.all([
      topic("REQUESTS_TOPIC", requestsTopic, "Read"),
      finding(
        `fetching from ${requestsTopic}`,
        Effect.flatMap(admin.endOffsets(requestsTopic), (ends) =>
          Effect.as(inspection.fetch(requestsTopic, ends), "every partition's leader answers"))
      ),
      // What has become of a request that comes again is read there.
      topic("OUTCOMES_TOPIC", outcomesTopic, "Write", "Read"),
      topic("DEAD_LETTERS_TOPIC", deadLettersTopic, "Write"),
      finding(
        `group ${groupId}`,
        Effect.gen(function*() {
          const fix = `the consumer's user needs an ACL for Read on the group ${groupId}`
          yield* missing(
            "Read",
            `the group ${groupId}`,
            yield* Effect.mapError(inspection.group(groupId), withFix(fix))
          )
          return "its coordinator answers, Read is allowed"
        })
      )
    ], { concurrency: "unbounded" })
    return [
      ...bootstrap,
      ...members,
      ...found,
      ...delivery === "exactly-once" ? [yield* transactions(groupId), yield* forgotten(deadLettersTopic)] : [],
      unknown("writing to topics", "can't be tried without a record; what is allowed was looked at")
    ]
  }).pipe(Effect.provide(Layer.merge(KafkaInspection.layer(settings.kafka), KafkaAdmin.layer(settings.kafka))))

const howConnected = ({ kafka: { sasl, tls } }: Settings): string =>
  [
    "answers",
    ...tls === undefined ? [] : ["TLS"],
    ...sasl === undefined ? [] : [`lets us in by ${sasl.mechanism}`]
  ].join(", ")

/** The consumer's ids begin with the group's. */
const transactions = (groupId: string) =>
  Effect.flatMap(KafkaInspection, (inspection) =>
    finding(
      "transactions",
      inspection.transactionalId(`${groupId}-config-check`).pipe(
        Effect.mapError(
          withFix(`the consumer's user needs an ACL for Write on transactional ids that begin with ${groupId}-`)
        ),
        Effect.as(`their coordinator answers, ids that begin with ${groupId}- are allowed`)
      )
    ))

const OFFSETS_TOPIC = "__consumer_offsets"

/** Nothing is to be read where there is no such topic yet. */
const mayRead = (topic: string) =>
  Effect.flatMap(KafkaInspection, (inspection) =>
    inspection.topic(topic).pipe(
      Effect.map(({ operations }) => operations.includes("Read")),
      Effect.catchReason("KafkaError", "UnknownTopic", () => Effect.succeed(true)),
      Effect.catchReason("KafkaError", "Unauthorized", () => Effect.succeed(false))
    ))

const FORGOTTEN = "transactions that a broker forgets"

/** Without these the consumer works, until a broker forgets to end a transaction. */
const forgotten = (deadLettersTopic: string): Effect.Effect<Finding, never, KafkaInspection> =>
  Effect.gen(function*() {
    const inspection = yield* KafkaInspection
    const needs = [
      ...(yield* inspection.cluster).includes("Alter") ? [] : ["Alter on the cluster"],
      ...(yield* mayRead(OFFSETS_TOPIC)) ? [] : [`Read on the topic ${OFFSETS_TOPIC}`],
      ...(yield* mayRead(deadLettersTopic)) ? [] : [`Read on the topic ${deadLettersTopic}`]
    ]
    return needs.length === 0
      ? { check: FORGOTTEN, result: "ok", detail: "what ends them is allowed" } as const
      : {
        check: FORGOTTEN,
        result: "warning",
        detail: `the consumer could not end one (docs/guarantees.md, "When something hangs"): its user needs ACLs for ${
          needs.join(", ")
        }`
      } as const
  }).pipe(Effect.catch(({ message }) => Effect.succeed(unknown(FORGOTTEN, message))))
