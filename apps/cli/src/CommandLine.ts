import type { Environment } from "@origin-regions/settings/Environment"
import { Effect, Layer } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import manifest from "../package.json" with { type: "json" }
import { apiCommand } from "./ApiCommand.ts"
import { auditCommand } from "./AuditCommand.ts"
import { layerApi } from "./CliApi.ts"
import { CliSettings } from "./CliSettings.ts"
import { configCommand } from "./ConfigCommand.ts"
import { emitCommand } from "./EmitCommand.ts"
import { exitCodes } from "./ExitCodes.ts"
import { exportCommand } from "./ExportCommand.ts"
import { invocationPresenter } from "./InvocationPresenter.ts"
import { planCommand } from "./PlanCommand.ts"
import { reconcileCommand } from "./ReconcileCommand.ts"
import { replayCommand } from "./ReplayCommand.ts"
import { SteerSettings } from "./SteerSettings.ts"
import { topicsCommand } from "./TopicsCommand.ts"
import { watchCommand } from "./WatchCommand.ts"
import { whereCommand } from "./WhereCommand.ts"

const description = [
  "Send mapping requests to Kafka, watch what becomes of them, and look after topics and settings.",
  "",
  "  Settings are environment variables, or lines of a file .env: KAFKA_BROKERS (default 127.0.0.1:9092), REQUESTS_TOPIC,",
  "  OUTCOMES_TOPIC, DEAD_LETTERS_TOPIC; for TLS KAFKA_TLS, KAFKA_TLS_CA_FILE, KAFKA_TLS_CERT_FILE, KAFKA_TLS_KEY_FILE;",
  "  for SASL KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, or with OAUTHBEARER",
  "  KAFKA_SASL_OAUTHBEARER_TOKEN_FILE or _TOKEN_ENDPOINT_URL, _CLIENT_ID, _CLIENT_SECRET.",
  "",
  "  Every command has --json for programs. NO_COLOR leaves out colors, which are on terminals only.",
  "",
  `  ${exitCodes()}`,
  "  A command's --help tells where it differs."
].join("\n")

const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]

/** All commands. */
export const commandLine = (environment: Environment) => {
  const settings = CliSettings.layer(environment)
  const api = layerApi(environment)
  const steer = SteerSettings.layer(environment)
  return Command.make("origin-regions").pipe(
    Command.withDescription(description),
    Command.withSubcommands([
      emitCommand.pipe(Command.provide(settings)),
      watchCommand.pipe(Command.provide(settings)),
      whereCommand.pipe(Command.provide(settings), Command.provide(steer)),
      exportCommand.pipe(Command.provide(api)),
      apiCommand.pipe(Command.provide(api)),
      topicsCommand.pipe(Command.provide(settings)),
      auditCommand.pipe(Command.provide(settings), Command.provide(steer)),
      planCommand(api).pipe(Command.provide(settings)),
      reconcileCommand(api).pipe(Command.provide(settings)),
      replayCommand.pipe(Command.provide(settings)),
      configCommand(environment)
    ])
  )
}

/** Runs the command line with the given arguments (without the program's name). */
export const runCommandLine = (environment: Environment) => {
  const command = commandLine(environment)
  const run = Command.runWith(command, { version: manifest.version })
  const layer = Layer.mergeAll(
    SecureRandom.layerWebCrypto,
    CliConfig.layer({ builtIns }),
    CliOutput.layerPresenter(invocationPresenter)
  )
  return (args: ReadonlyArray<string>) => Effect.provide(run(args), layer)
}
