import { consumerSettings, readSettings, type Settings } from "@origin-regions/consumer/Settings"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { settingValues } from "@origin-regions/settings/SettingValue"
import { Console, Effect, Option, Result } from "effect"
import { Command, Flag } from "effect/cli"
import { checkApi } from "./ApiChecks.ts"
import { ChecksFailed, CommandError, WrongSettings } from "./CommandError.ts"
import { failedCount, type Finding, problemsJson, reportJson, reportTable } from "./ConfigReport.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { checkKafka } from "./KafkaChecks.ts"

const parameters = {
  zone: Flag.String("zone").pipe(
    Flag.withDescription("A zone to read from, to see whether the API knows the credential; Cloudflare needs one"),
    Flag.withSchema(ZoneId),
    Flag.optional
  ),
  json: jsonFlag("Print what was found in JSON")
}

/** That they can be read has been seen; this says which way it is, as a file that was not named is a door left open. */
const allowRulesFinding = (rules: Settings["allowRules"]): Finding => ({
  check: "allow rules",
  result: "ok",
  detail: rules === undefined
    ? "none: every source may change every zone"
    : `${rules.length} of them: what none of them names is refused`
})

/** `origin-regions config check`: reads the consumer's settings, and looks whether Kafka and the API do what they promise. */
const checkCommand = (environment: Environment) =>
  Command.make(
    "check",
    parameters,
    Effect.fn("config check")(function*({ json, zone }) {
      const complete = completeEnvironment(environment)
      const settings = Result.flatMap(complete, ({ environment }) => readSettings(environment))
      if (Result.isFailure(complete) || Result.isFailure(settings)) {
        const problems = Result.isFailure(complete)
          ? complete.failure
          : Result.isFailure(settings)
          ? settings.failure
          : []
        if (json) yield* Console.log(problemsJson(problems))
        return yield* new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
      }
      const [kafka, api] = yield* Effect.all([
        checkKafka(settings.success),
        checkApi(settings.success.api, Option.getOrUndefined(zone))
      ], { concurrency: 2 })
      const findings = [...kafka, ...api, allowRulesFinding(settings.success.allowRules)]
      const report = {
        file: complete.success.file,
        settings: settingValues(Object.values(consumerSettings), complete.success),
        findings
      }
      yield* Console.log(json ? reportJson(report) : reportTable(report))
      const failed = failedCount(findings)
      if (failed > 0) {
        return yield* new CommandError({ reason: new ChecksFailed({ failed, all: findings.length }) })
      }
    })
  ).pipe(
    Command.withDescription([
      "Check the consumer's settings, and whether Kafka and the API answer as the consumer needs it.",
      "",
      "  Nothing is sent to topics, no group is joined, no mapping is written. What can't be seen without",
      "  that is listed with a question mark. The settings are the consumer's own: unlike other commands, it",
      "  takes no broker for granted, and needs KAFKA_BROKERS; CLOUDFLARE_API_TOKEN too.",
      "",
      `  ${exitCodes({ 0: "nothing is wrong", 1: "a check failed" })}`
    ].join("\n")),
    Command.withShortDescription("Check the consumer's settings against Kafka and the API"),
    Command.withExamples([
      { command: "origin-regions config check", description: "What is set, and whether it works" },
      {
        command: "origin-regions config check --zone 023e105f4ecef8ad9ca31a8372d0c353 --json",
        description: "For a program, with a zone that the credential may read"
      }
    ])
  )

/** `origin-regions config`: about the consumer's settings. */
export const configCommand = (environment: Environment) =>
  Command.make("config").pipe(
    Command.withDescription("About the consumer's settings."),
    Command.withShortDescription("Check the consumer's settings"),
    Command.withSubcommands([checkCommand(environment)])
  )
