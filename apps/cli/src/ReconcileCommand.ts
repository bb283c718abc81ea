import type { ApiSettings } from "@origin-regions/api-client/ApiSettings"
import type { OriginRegionsApi } from "@origin-regions/api-client/OriginRegionsApi"
import type { OriginIp } from "@origin-regions/domain/OriginIp"
import { formatTimestamp } from "@origin-regions/domain/Timestamp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { Clock, Console, Effect, type Layer, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { ApiFailed, CommandError, WouldBeRefused, WrongUsage, ZoneDiffers } from "./CommandError.ts"
import { type DesiredMapping, DesiredZone } from "./DesiredZone.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { paced, rateFlag } from "./Pace.ts"
import { rowsOfFile } from "./PlanInput.ts"
import { noCounts, planLine } from "./PlanReport.ts"
import { type PlannedRequest, RequestPlan } from "./RequestPlan.ts"
import { rowFormats } from "./RequestRows.ts"
import { requestText, requestTextRecord } from "./RequestText.ts"
import { readZone } from "./ZonePicture.ts"

const parameters = {
  zone: Argument.String("zone").pipe(Argument.withDescription("The zone's id"), Argument.withSchema(ZoneId)),
  from: Flag.String("from").pipe(
    Flag.withDescription("The mappings that the zone should have, as rows of a file; - is the standard input")
  ),
  format: Flag.Literals("format", rowFormats).pipe(
    Flag.withDescription("What the file is; by default what its name says (.csv, .tfstate), and otherwise jsonl"),
    Flag.optional
  ),
  prune: Flag.Boolean("prune").pipe(
    Flag.withDescription("Delete what the zone has and the file does not name"),
    Flag.withDefault(false)
  ),
  rate: rateFlag,
  apply: Flag.Boolean("apply").pipe(
    Flag.withDescription("Send the requests that close the difference; without this nothing is sent"),
    Flag.withDefault(false)
  ),
  json: jsonFlag("Print the difference in JSON")
}

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

/** More are counted only. */
const SHOWN_PROBLEMS = 20

const readDesired = Effect.fnUntraced(
  function*(zone: ZoneId, path: string, rows: Effect.Success<ReturnType<typeof rowsOfFile>>["rows"]) {
    const desired = new DesiredZone(zone)
    yield* Stream.runForEach(rows, (row) => Effect.sync(() => desired.add(row)))
    const { mappings, others, problems } = desired
    if (problems.length > 0) {
      const more = problems.length > SHOWN_PROBLEMS ? [`… and ${problems.length - SHOWN_PROBLEMS} more`] : []
      return yield* misuse(
        [...problems.slice(0, SHOWN_PROBLEMS), ...more, "Nothing was compared: correct this."].join("\n")
      )
    }
    // With --prune it would empty the zone, and hardly anybody means that.
    if (mappings.size === 0) {
      const ofOthers = others === 0 ? "" : `, and ${others} of others`
      return yield* misuse(
        `${
          path === "-" ? "The standard input" : path
        } names no mapping of the zone ${zone}${ofOthers}: nothing was compared.`
      )
    }
    return desired
  }
)

/** What is to be asked for, and what would come of it. */
interface Step {
  readonly text: string
  readonly planned: PlannedRequest
}

/** The requests that make the zone what it should be, deletes first: they make room. */
const stepsFor = Effect.fnUntraced(
  function*(zone: ZoneId, desired: ReadonlyMap<OriginIp, DesiredMapping>, prune: boolean) {
    const picture = yield* readZone(zone)
    if ("code" in picture) {
      const problem = `Could not read the zone ${zone}: ${picture.message} (code ${picture.code})`
      return yield* new CommandError({
        reason: new ApiFailed({ problem, name: "Rejected", code: picture.code, fix: "Is that the zone's id?" })
      })
    }
    const { uuidV4 } = yield* SecureRandom.SecureRandom
    const now = yield* Clock.currentTimeMillis
    const extra = [...picture.mappings.keys()].filter((ip) => !desired.has(ip))
    const plan = new RequestPlan(() => Effect.succeed(picture))
    const step = Effect.fnUntraced(
      function*(operation: "delete" | "upsert", ip: OriginIp, cloud: Partial<DesiredMapping>) {
        const text = requestText({
          operation,
          id: yield* uuidV4(),
          source: "/origin-regions/cli",
          time: formatTimestamp(now),
          zone,
          ip,
          vendor: cloud.vendor,
          region: cloud.region,
          expires: undefined
        })
        const made: Step = { text, planned: yield* plan.plan(requestTextRecord(text), now) }
        return made
      }
    )
    const deletes = yield* Effect.forEach(prune ? extra : [], (ip) => step("delete", ip, {}))
    const upserts = yield* Effect.forEach(desired, ([ip, mapping]) => step("upsert", ip, mapping))
    return { extra, steps: [...deletes, ...upserts] }
  }
)

/** How many are shown of what is left alone. */
const SHOWN_EXTRA = 10

/** `origin-regions reconcile`: compares a zone with what it should have, and asks for the difference. */
export const reconcileCommand = (layerApi: Layer.Layer<ApiSettings | OriginRegionsApi, CommandError>) =>
  Command.make(
    "reconcile",
    parameters,
    Effect.fn("reconcile")(function*({ apply, format, from, json, prune, rate, zone }) {
      const settings = yield* CliSettings
      const { rows } = yield* rowsOfFile(from, format)
      const desired = yield* readDesired(zone, from, rows)
      const { extra, steps } = yield* Effect.provide(stepsFor(zone, desired.mappings, prune), layerApi)
      const counts = noCounts()
      for (const { planned } of steps) counts[planned.effect] += 1
      const differing = steps.filter(({ planned }) => planned.effect !== "unchanged")
      const refused = counts.conflict + counts.invalid + counts.refused
      const kept = prune ? [] : extra

      if (!json) {
        for (const { planned } of differing) yield* Console.log(planLine("", planned))
        yield* Console.log(
          `${counts.create} to create, ${counts.update} to update, ${counts.delete} to delete, ${counts.unchanged} as they should be${
            refused === 0 ? "" : `, ${refused} that can't be`
          }.`
        )
        if (kept.length > 0) {
          const some = `${kept.slice(0, SHOWN_EXTRA).join(", ")}${kept.length > SHOWN_EXTRA ? ", …" : ""}`
          yield* Console.log(
            `${kept.length} more that the file does not name are left alone (--prune deletes them): ${some}`
          )
        }
      }
      const sends = apply && refused === 0
      const records = differing.map(({ text }) => ({ topic: settings.requestsTopic, record: requestTextRecord(text) }))
      if (sends && records.length > 0) {
        yield* KafkaProducer.use(({ send }) => paced(Stream.fromIterable(records), rate, send)).pipe(
          sayingWhereItWaits(settings),
          Effect.provide(KafkaProducer.layer(settings.kafka)),
          Effect.mapError((error) => kafkaFailed(error, settings))
        )
      }
      if (json) {
        const { create, unchanged, update } = counts
        const differences = differing.map(({ planned: { address, after, before, code, effect, reason } }) => ({
          effect,
          address,
          before,
          after,
          code,
          reason
        }))
        const sent = sends ? records.length : 0
        yield* Console.log(
          JSON.stringify({
            zone,
            create,
            update,
            delete: counts.delete,
            unchanged,
            refused,
            left_alone: kept,
            differences,
            sent
          })
        )
      } else if (sends) {
        yield* Console.log(
          `Sent ${records.length} ${records.length === 1 ? "request" : "requests"} to ${settings.requestsTopic}.`
        )
      }
      if (refused > 0) return yield* new CommandError({ reason: new WouldBeRefused({ refused, all: steps.length }) })
      if (!apply && differing.length > 0) {
        return yield* new CommandError({ reason: new ZoneDiffers({ zone, differences: differing.length }) })
      }
    })
  ).pipe(
    Command.withDescription([
      "Compare a zone with the mappings that it should have, and send what closes the difference.",
      "",
      "  The file has rows as emit --file takes them; those of other zones are left alone, and those without a zone are",
      "  of this one. What the zone has beyond them is deleted with --prune only. Without --apply nothing is sent.",
      "  Needs the consumer's settings of the API: CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL, API_GENERATION.",
      "",
      `  ${
        exitCodes({
          0: "the zone is as it should be, or all was sent that makes it so",
          1: "it is not (and nothing was sent), or Kafka or the API failed"
        })
      }`
    ].join("\n")),
    Command.withShortDescription("Compare a zone with what it should have"),
    Command.withExamples([
      { command: "origin-regions reconcile demo-shop --from examples/rows.csv", description: "What is different" },
      {
        command: "origin-regions reconcile demo-shop --from examples/terraform.tfstate --apply",
        description: "Make the zone have what Terraform says; with --prune, nothing else"
      }
    ])
  )
