import { consumerSettings } from "@origin-regions/consumer/Settings"
import type { Environment } from "@origin-regions/settings/Environment"
import { completeEnvironment } from "@origin-regions/settings/EnvironmentFile"
import type { Values } from "@origin-regions/settings/Setting"
import { describeProblems } from "@origin-regions/settings/SettingProblem"
import { SettingReader } from "@origin-regions/settings/SettingReader"
import { Context, Effect, Layer, Result } from "effect"
import { CommandError, WrongSettings } from "./CommandError.ts"

const { delivery, groupId, httpToken } = consumerSettings.own
const steerSettings = { delivery, groupId, httpToken }

/** What the commands know of the consumer that they look after: the same settings as its own. */
export class SteerSettings extends Context.Service<SteerSettings, Values<typeof steerSettings>>()(
  "@origin-regions/cli/SteerSettings"
) {
  static readonly layer = (environment: Environment): Layer.Layer<SteerSettings, CommandError> =>
    Layer.effect(
      SteerSettings,
      Effect.fromResult(
        Result.flatMap(completeEnvironment(environment), ({ environment }) => {
          const reader = new SettingReader(environment)
          return reader.result(reader.readAll(steerSettings))
        })
      ).pipe(
        Effect.mapError((problems) =>
          new CommandError({ reason: new WrongSettings({ problems: describeProblems(problems) }) })
        )
      )
    )
}
