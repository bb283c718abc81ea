import { keyPartition } from "@origin-regions/domain/KeyPartition"
import { mappingKey } from "@origin-regions/domain/MappingKey"
import { canonicalize } from "@origin-regions/domain/OriginIp"
import { ZoneId } from "@origin-regions/domain/ZoneId"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaScan } from "@origin-regions/kafka/KafkaScan"
import { Clock, Console, Duration, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { CliSettings, kafkaFailed, sayingWhereItWaits } from "./CliSettings.ts"
import { CommandError, NotFound, WrongUsage } from "./CommandError.ts"
import { exitCodes } from "./ExitCodes.ts"
import { jsonFlag } from "./JsonFlag.ts"
import { askMembers } from "./MemberWords.ts"
import { sinceFlag, sinceMoment } from "./Since.ts"
import { SteerSettings } from "./SteerSettings.ts"
import { type FoundRequest, type Wanted, Whereabouts } from "./Whereabouts.ts"
import { whereJson, whereText } from "./WhereReport.ts"

const urlsOf = (text: string): ReadonlyArray<URL> | undefined => {
  const urls = text.split(",").map((part) => URL.parse(part.trim()))
  return urls.every((url) => url !== null && /^https?:$/.test(url.protocol))
    ? urls.filter((url) => url !== null)
    : undefined
}

const parameters = {
  zone: Argument.String("zone").pipe(
    Argument.withDescription("The zone's id, or the zone and the address in one: ZONE/IP"),
    Argument.optional
  ),
  ip: Argument.String("ip").pipe(
    Argument.withDescription("The origin's address, in any spelling"),
    Argument.optional
  ),
  id: Flag.String("id").pipe(
    Flag.withDescription("Look for the requests with this id, instead of those of an address"),
    Flag.optional
  ),
  since: sinceFlag("Look also at requests that are done, from then on (1 hour ago by default)"),
  allPartitions: Flag.Boolean("all-partitions").pipe(
    Flag.withDescription("Look in every partition: for emitters that do not use the recommended key"),
    Flag.withDefault(false)
  ),
  statusUrl: Flag.String("status-url").pipe(
    Flag.withDescription(
      "Ask these consumers too, by their HTTP addresses with commas between; HTTP_TOKEN is the token"
    ),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(urlsOf(text)),
      () => "http:// or https:// addresses, with commas between"
    ),
    Flag.withDefault([])
  ),
  group: Flag.String("group").pipe(
    Flag.withDescription("The consumer's group; KAFKA_GROUP_ID by default"),
    Flag.optional
  ),
  json: jsonFlag("Print what was found in JSON")
}

type Flags = Command.Command.Config.Infer<typeof parameters>

/** How far back is looked without `--since`. */
const DEFAULT_SINCE = Duration.toMillis("1 hour")

/** How long an open transaction may hold the reading up. */
const PATIENCE = Duration.seconds(10)

/** Outcomes are stamped by another clock than their requests. */
const CLOCK_MARGIN = Duration.toMillis("2 hours")

const encoder = new TextEncoder()

const misuse = (problem: string) => Effect.fail(new CommandError({ reason: new WrongUsage({ problem }) }))

const isZoneId = Schema.is(ZoneId)

/** Zone and address, also as outcomes have them in one: `zone/address`. */
const addressOf = (zone: Flags["zone"], ip: Flags["ip"]): ReadonlyArray<string | undefined> => {
  const [first, second] = [Option.getOrUndefined(zone), Option.getOrUndefined(ip)]
  const slash = first?.indexOf("/") ?? -1
  return second === undefined && slash !== -1 ? [first?.slice(0, slash), first?.slice(slash + 1)] : [first, second]
}

const wantedOf = ({ id, ip, zone }: Flags): Effect.Effect<Wanted, CommandError> => {
  if (Option.isSome(id)) {
    return Option.isSome(zone)
      ? misuse("Give an address or --id, not both.")
      : Effect.succeed({ _tag: "Id", id: id.value })
  }
  const [zoneId, address] = addressOf(zone, ip)
  if (zoneId === undefined || address === undefined) {
    return misuse("Say which requests: where ZONE IP, where ZONE/IP, or where --id ID.")
  }
  const originIp = canonicalize(address)
  if (!isZoneId(zoneId)) return misuse(`${JSON.stringify(zoneId)} is no zone's id.`)
  return originIp === undefined
    ? misuse(`${JSON.stringify(address)} is no IPv4 or IPv6 address.`)
    : Effect.succeed({ _tag: "Address", zoneId, originIp })
}

const keyOf = (wanted: Wanted): Uint8Array | undefined =>
  wanted._tag === "Address" ? encoder.encode(mappingKey(wanted.zoneId, wanted.originIp)) : undefined

const only = (offsets: ReadonlyMap<number, number>, partitions: ReadonlySet<number> | undefined) =>
  partitions === undefined ? offsets : new Map([...offsets].filter(([partition]) => partitions.has(partition)))

/** In which partitions of the outcomes topic the answers are; `undefined` where they may be in any. */
const outcomePartitions = (found: ReadonlyArray<FoundRequest>, count: number): ReadonlySet<number> | undefined => {
  const keys = found.map(({ address, key }) => address?.includes("/") === true ? encoder.encode(address) : key)
  const known = keys.filter((key) => key !== null)
  return known.length < keys.length ? undefined : new Set(known.map((key) => keyPartition(key, count)))
}

/**
 * First what the group has committed, then the requests, then the outcomes: what is done by the commit has its outcome among those, and what became done
 * meanwhile mostly too.
 */
const search = Effect.fnUntraced(function*(wanted: Wanted, flags: Flags, groupId: string) {
  const { outcomesTopic, requestsTopic } = yield* CliSettings
  const admin = yield* KafkaAdmin
  const { scan } = yield* KafkaScan
  const at = yield* Clock.currentTimeMillis
  const since = (yield* sinceMoment(flags.since)) ?? at - DEFAULT_SINCE
  const committed = yield* admin.committedOffsets(groupId, requestsTopic)
  const ends = yield* admin.endOffsets(requestsTopic)
  const key = keyOf(wanted)
  const partitions = key === undefined || flags.allPartitions
    ? undefined
    : new Set([keyPartition(key, ends.size)])
  const whereabouts = new Whereabouts({ wanted, topic: requestsTopic, groupId, committed, partitions: ends.keys() })
  const starts = yield* admin.offsetsSince(requestsTopic, since)
  // All that is not done is looked at, however old it is.
  const from = new Map(
    [...only(ends, partitions)].map(([partition, end]) => [
      partition,
      Math.min(starts.get(partition) ?? end, committed.get(partition)?.offset ?? 0)
    ])
  )
  yield* scan(
    { topic: requestsTopic, from, to: ends, patience: PATIENCE },
    (partition, record) => whereabouts.request(partition, record)
  )
  const { found } = whereabouts
  const hasProgress = committed.size > 0
  if (found.length === 0) return { at, since, hasProgress, found, held: [] }
  const oldest = Math.min(...found.map(({ timestamp }) => timestamp))
  const outcomesFrom = yield* admin.offsetsSince(outcomesTopic, oldest - CLOCK_MARGIN)
  const held = yield* scan(
    {
      topic: outcomesTopic,
      from: only(outcomesFrom, outcomePartitions(found, outcomesFrom.size)),
      patience: PATIENCE
    },
    (_, record) => whereabouts.outcome(record)
  )
  return { at, since, hasProgress, found, held: [...held.keys()] }
})

/** `origin-regions where`: where the requests of an address are, or those with an id. */
export const whereCommand = Command.make(
  "where",
  parameters,
  Effect.fn("where")(function*(flags) {
    const settings = yield* CliSettings
    const steer = yield* SteerSettings
    const groupId = Option.getOrElse(flags.group, () => steer.groupId)
    const wanted = yield* wantedOf(flags)
    const searched = yield* KafkaAdmin.use(({ partitionCount }) => partitionCount(settings.requestsTopic)).pipe(
      sayingWhereItWaits(settings),
      Effect.andThen(search(wanted, flags, groupId)),
      Effect.provide([KafkaAdmin.layer(settings.kafka), KafkaScan.layer(settings.kafka)]),
      Effect.mapError((error) => error._tag === "KafkaError" ? kafkaFailed(error, settings) : error)
    )
    const isWaiting = searched.found.some(({ isDone, outcome }) => !isDone && outcome === undefined)
    const findings = {
      ...searched,
      words: yield* askMembers(isWaiting ? flags.statusUrl : [], wanted, steer.httpToken),
      topic: settings.requestsTopic,
      groupId,
      wanted: wanted._tag === "Id" ? `the id ${wanted.id}` : mappingKey(wanted.zoneId, wanted.originIp)
    }
    yield* Console.log(flags.json ? whereJson(findings) : whereText(findings))
    if (findings.found.length === 0) return yield* new CommandError({ reason: new NotFound() })
  })
).pipe(
  Command.withDescription([
    "Say what came of the requests of an address, or where they wait.",
    "",
    "  Reads Kafka alone: the requests, what the consumer's group has committed, and the outcomes. Joins no group and",
    "  writes nothing. Requests that are not done are found however old they are; of those that are, the ones since",
    "  --since. Those of an address are looked for in the partition of its key; without --all-partitions",
    "  those are missed that have another key.",
    "",
    `  ${exitCodes({ 0: "requests were found", 1: "no such request was found, or Kafka failed" })}`
  ].join("\n")),
  Command.withShortDescription("Say where a request is, or what came of it"),
  Command.withExamples([
    { command: "origin-regions where demo-shop 192.0.2.10", description: "What came of the requests of an address" },
    {
      command: "origin-regions where demo-shop 2001:db8::10 --since 24h --json",
      description: "The same since yesterday, for a program"
    },
    { command: "origin-regions where --id ipv4", description: "Requests by their id, in all partitions" },
    {
      command: "origin-regions where demo-shop 192.0.2.10 --status-url http://127.0.0.1:8788",
      description: "With what the consumer says of those that wait"
    }
  ])
)
