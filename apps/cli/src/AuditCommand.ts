import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { type AuditPlan, readAudit } from "./AuditReading.ts"
import { auditJson, auditText, isOnlyIdle, problemCount } from "./AuditReport.ts"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, NotProved } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { sinceFlag, sinceMoment } from "./Since.ts"
import { SteerSettings } from "./SteerSettings.ts"

const parameters = {
  since: sinceFlag("Only requests from then on"),
  group: Flag.String("group").pipe(
    Flag.withDescription("The consumer's group; KAFKA_GROUP_ID by default"),
    Flag.optional
  ),
  json: jsonFlag("Print what was found in JSON")
}

/** `origin-regions audit`: proves that every request that is done has exactly one outcome, or lists what speaks against it. */
export const auditCommand = Command.make(
  "audit",
  parameters,
  Effect.fn("audit")(function*({ group, json, since }) {
    const settings = yield* CliSettings
    const { delivery, groupId } = yield* SteerSettings
    const plan: AuditPlan = {
      requestsTopic: settings.requestsTopic,
      outcomesTopic: settings.outcomesTopic,
      groupId: Option.getOrElse(group, () => groupId),
      delivery,
      since: yield* sinceMoment(since)
    }
    const findings = yield* KafkaAdmin.use(({ partitionCount }) => partitionCount(plan.requestsTopic)).pipe(
      sayingWhereItWaits(settings),
      Effect.andThen(readAudit(plan)),
      Effect.provide([KafkaAdmin.layer(settings.kafka), KafkaScan.layer(settings.kafka)]),
      Effect.mapError((error) => kafkaFailed(error, settings))
    )
    yield* Console.log(json ? auditJson(plan, findings) : auditText(plan, findings))
    if (problemCount(findings) > 0) {
      const idle = isOnlyIdle(findings) ? { idleGroup: plan.groupId } : {}
      return yield* new CommandError({ reason: new NotProved(idle) })
    }
  })
).pipe(
  Command.withDescription([
    "Prove that every request has exactly one outcome, or list what speaks against it.",
    "",
    "  Reads all requests and outcomes that Kafka has, and what the consumer's group has committed. Joins no group",
    "  and writes nothing, and may be run while the consumer is at work. With DELIVERY=at-least-once,",
    "  an outcome that comes again with the same id counts as repeated, and is no failure.",
    "",
    `  ${exitCodes({ 0: "it is proved", 1: "something was found, or Kafka failed" })}`
  ].join("\n")),
  Command.withShortDescription("Prove that every request has exactly one outcome"),
  Command.withExamples([
    { command: "origin-regions audit", description: "All that Kafka has" },
    { command: "origin-regions audit --since 24h", description: "Since yesterday" },
    { command: "origin-regions audit --json", description: "For a program: every number, and the places" }
  ])
)
