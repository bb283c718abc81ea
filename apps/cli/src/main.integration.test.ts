import { assert, layer } from "@effect/vitest"
import { mappingOutcome, outcomeRecord, rejectedByRule, type Settlement } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, Layer, Queue, Result, Stream } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ProgramRun, runProgram as run, startProgram as start } from "./fixtures/RunningProgram.ts"
import { type RequestParts, requestText } from "./RequestText.ts"

const Kafka = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => {
  const settings = Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") }))
  return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaProducer.layer(settings), KafkaTopicReader.layer(settings))
})).pipe(Layer.provideMerge(KafkaBroker.layer))

const newTopic = Effect.fnUntraced(function*(partitions: number) {
  const topic = yield* uniqueTopic
  yield* KafkaAdmin.use(({ createTopics }) => createTopics([{ topic, partitions }]))
  return topic
})

const read = (topic: string, count: number) =>
  KafkaTopicReader.use(({ read }) => read({ topic, from: "beginning" }).pipe(Stream.take(count), Stream.runCollect))

const countOf = (topic: string) =>
  KafkaAdmin.use(({ endOffsets }) =>
    Effect.map(endOffsets(topic), (ends) => [...ends.values()].reduce((a, b) => a + b))
  )

const environmentWith = (topics: Readonly<Record<string, string>>) =>
  Effect.map(KafkaBroker, ({ brokers }) => ({ KAFKA_BROKERS: brokers.join(","), ...topics }))

const ofBytes = (bytes: Uint8Array | null | undefined) => bytes ? new TextDecoder().decode(bytes) : null

const requestWith = (parts: Partial<RequestParts>) =>
  requestText({
    operation: "upsert",
    id: "good",
    source: "/test",
    time: "2026-11-24T12:00:00Z",
    zone: "demo-shop",
    ip: "192.0.2.10",
    vendor: "aws",
    region: "us-east-1",
    expires: undefined,
    ...parts
  })

const good = requestWith({})

const unchanged: Settlement = { _tag: "Succeeded", result: "unchanged", mapping: null, recovered: false }

const outcomeOf = (partition: number, offset: number, request = good, settlement: Settlement = unchanged) =>
  mappingOutcome({
    groupId: "group",
    record: { topic: "requests", partition, offset, timestamp: 0 },
    request: readRequest({ value: new TextEncoder().encode(request), headers: [] }),
    settlement,
    attempts: 1,
    settledAt: 0
  })

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions", (it) => {
  it.effect("emits one request made of flags", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const environment = yield* environmentWith({ REQUESTS_TOPIC: topic })
      const flags =
        "--zone demo-shop --ip 2001:0DB8::0001 --vendor aws --region us-east-1 --expires 2030-01-31T12:00:00Z"
      const { code, stderr, stdout } = yield* run({ args: ["emit", "create", ...flags.split(" ")], environment })
      assert.deepStrictEqual([code, stderr], [0, ""])
      const [record] = yield* read(topic, 1)
      const request = readRequest({ value: record?.value ?? null, headers: record?.headers ?? [] })
      assert.deepStrictEqual<unknown>(request.verdict, {
        _tag: "Apply",
        change: {
          operation: "create",
          zoneId: "demo-shop",
          originIp: "2001:db8::1",
          vendor: "aws",
          region: "us-east-1"
        }
      })
      assert.strictEqual(ofBytes(record?.key), "demo-shop/2001:db8::1")
      assert.strictEqual(request.event.source, "/origin-regions/cli")
      assert.strictEqual(request.event.expiresAt, Date.UTC(2030, 0, 31, 12))
      assert.match(request.event.id ?? "", /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
      assert.strictEqual(stdout, `Sent the request ${request.event.id} to ${topic}.\n`)
    }))

  it.effect("sends no line of a file where one is wrong, and all as they are with --allow-invalid", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const environment = yield* environmentWith({ REQUESTS_TOPIC: topic })
      const bad = good.replace("192.0.2.10", "192.0.2.256").replace("\"aws\"", "\"AWS\"")
      const stdin = `${good}\n\n${bad}\nno JSON\n`
      const refused = yield* run({ args: ["emit", "--file", "-"], environment, stdin })
      assert.deepStrictEqual([refused.code, refused.stdout], [2, ""])
      assert.deepStrictEqual(refused.stderr.split("\n"), [
        "line 3: ip must be an IPv4 or IPv6 address, not \"192.0.2.256\"",
        "line 3: vendor must be one of aws, azure, gcp, oci, not \"AWS\"",
        "line 4: the line is not JSON",
        "Nothing was sent: correct this, or send it as it is with --allow-invalid.",
        ""
      ])
      assert.strictEqual(yield* countOf(topic), 0)

      const sent = yield* run({ args: ["emit", "--file", "-", "--allow-invalid"], environment, stdin })
      assert.deepStrictEqual(sent, { code: 0, stdout: `Sent 3 requests to ${topic}.\n`, stderr: "" })
      const values = (yield* read(topic, 3)).map(({ value }) => ofBytes(value))
      assert.sameMembers(values, [good, bad, "no JSON"])
    }))

  it.effect("watches every outcome that is kept, for a program and for a person, until Ctrl-C", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const environment = yield* environmentWith({ OUTCOMES_TOPIC: topic })
      const { send } = yield* KafkaProducer
      const sendOutcome = (offset: number) => send([{ topic, record: outcomeRecord(outcomeOf(0, offset), null) }])
      yield* sendOutcome(0)
      yield* send([{ topic, record: { key: null, value: new TextEncoder().encode("{}"), headers: [] } }])

      const forProgram = yield* start({ args: ["watch", "--from-beginning", "--json"], environment })
      assert.deepStrictEqual(JSON.parse(yield* Queue.take(forProgram.lines)), outcomeOf(0, 0))
      yield* sendOutcome(1)
      assert.deepStrictEqual(JSON.parse(yield* Queue.take(forProgram.lines)), outcomeOf(0, 1))
      forProgram.child.kill("SIGINT")
      const { code, stderr } = yield* forProgram.ended
      assert.strictEqual(code, 0)
      assert.match(stderr, new RegExp(`^Watching ${topic} at .*\nPassed over ${topic} \\d/\\d: it is no outcome.\n$`))

      const forPerson = yield* start({ args: ["watch", "--from-beginning"], environment })
      assert.match(yield* Queue.take(forPerson.lines), /time +request +asked for +outcome/)
      yield* Queue.take(forPerson.lines)
      assert.match(
        yield* Queue.take(forPerson.lines),
        /^ +1970-01-01 +good +upsert demo-shop\/192\.0\.2\.10 +unchanged: /
      )
    }))

  it.effect("watches from now on, where nothing else is said", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(2)
      const environment = yield* environmentWith({ OUTCOMES_TOPIC: topic })
      const { send } = yield* KafkaProducer
      const sendOutcome = (offset: number) => send([{ topic, record: outcomeRecord(outcomeOf(0, offset), null) }])
      yield* sendOutcome(0)
      const watching = yield* start({ args: ["--log-level", "none", "watch"], environment })
      // The head is printed once it is settled where to begin.
      yield* Queue.takeN(watching.lines, 2)
      yield* sendOutcome(1)
      const json = yield* start({ args: ["watch", "--json", "--from-beginning"], environment })
      yield* Queue.takeN(json.lines, 2)
      assert.match(yield* Queue.take(watching.lines), /unchanged: /)
      watching.child.kill("SIGINT")
      const { code, stdout } = yield* watching.ended
      assert.strictEqual(code, 0)
      assert.strictEqual(stdout.split("unchanged: ").length, 2)
    }))

  it.effect("watches only what is asked for, since when it is asked for", () =>
    Effect.gen(function*() {
      const topic = yield* newTopic(1)
      const environment = yield* environmentWith({ OUTCOMES_TOPIC: topic })
      const rejected = rejectedByRule("unsupported_region")
      const outcomes = [
        outcomeOf(0, 0, requestWith({ zone: "other" }), rejected),
        outcomeOf(0, 1, requestWith({ source: "/other" }), rejected),
        outcomeOf(0, 2, good, rejectedByRule("invalid_ip")),
        outcomeOf(0, 3),
        outcomeOf(0, 4, good, rejected),
        outcomeOf(0, 5, good, rejected)
      ]
      yield* KafkaProducer.use(({ send }) =>
        send(outcomes.map((outcome) => ({ topic, record: outcomeRecord(outcome, null) })))
      )
      const flags = "--json --zone demo-shop --source /test --code unchanged --code 1157 --type rejected --type failed"
      const args = ["watch", "--since", "1 hour", ...flags.split(" ")]
      const watching = yield* start({ args, environment })
      assert.deepStrictEqual(JSON.parse(yield* Queue.take(watching.lines)), outcomes[4])
      const limited = yield* run({ args: [...args, "--code", "1146", "--limit", "2"], environment })
      assert.strictEqual(limited.code, 0)
      assert.deepStrictEqual(limited.stdout.trimEnd().split("\n").map((line) => JSON.parse(line)), [
        outcomes[2],
        outcomes[4]
      ])
      const misused = yield* run({ args: [...args, "--from-beginning"], environment })
      assert.deepStrictEqual([misused.code, misused.stderr], [2, "Give --from-beginning or --since, not both.\n"])
    }))

  it.effect("says in a sentence that the topic is not there", () =>
    Effect.gen(function*() {
      const environment = yield* environmentWith({ OUTCOMES_TOPIC: "not-there", REQUESTS_TOPIC: "not-there" })
      const runs = [["watch"], ["emit", "--file", "-"]].map((args) => run({ args, environment, stdin: good }))
      for (const { code, stderr, stdout } of yield* Effect.all(runs, { concurrency: 2 })) {
        assert.deepStrictEqual([code, stdout], [1, ""])
        assert.match(
          stderr,
          /^Could not .* topic.*\nIs there not-there \(REQUESTS_TOPIC\), and .*\? origin-regions topics create makes the topics\.\n$/
        )
      }
    }))

  it.effect("says in two sentences that no broker answers", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run({ args: ["emit", "--file", "-"], stdin: good })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(
        stderr,
        /^Could not connect to Kafka: .*\nIs a broker running at 127\.0\.0\.1:1\? .*\n$/
      )
    }))

  it.effect.each<readonly [string, ProgramRun, RegExp]>([
    [
      "a wrong flag",
      { args: ["emit", "create", "--zonee", "x"] },
      /^Unrecognized flag: --zonee[^]*See origin-regions emit --help\.\n$/
    ],
    [
      "a code that can't be one",
      { args: ["watch", "--code", "already_exists"] },
      /one of created, .*1145 \(already_exists\).*, or another code of the API[^]*/
    ],
    ["a limit of nothing", { args: ["watch", "--limit", "0"] }, /--limit[^]*expected 1 or more/],
    ["no request", { args: ["emit"] }, /^Say what to emit: .*\n$/],
    ["an empty file", { args: ["emit", "--file", "-"], stdin: "\n" }, /^The standard input holds no request\.\n$/],
    [
      "a file that is not there",
      { args: ["emit", "--file", "nowhere"] },
      /^nowhere cannot be read: there is no such file\n$/
    ],
    ["a directory", { args: ["emit", "--file", "/"] }, /^\/ cannot be read: it is a directory\n$/],
    [
      "a file of another format",
      { args: ["emit", "--file", "-"], stdin: "zone_id,ip\nz,::1\n" },
      /^The standard input has no line that is JSON: does --format say what it is\?\nNothing was sent: .*\n$/
    ],
    [
      "an empty table, as emit does,",
      { args: ["plan", "-", "--format", "csv"], stdin: "zone_id,ip\n", environment: { CLOUDFLARE_API_TOKEN: "t" } },
      /^The standard input holds no request\.\n$/
    ],
    [
      "what can't be a zone",
      { args: ["export", "a b"] },
      /^Invalid value for argument <zone>: "a b"\. Expected: 1 to 32 characters of /
    ],
    [
      "flags that a file contradicts",
      { args: ["emit", "--file", "-", "delete", "--zone", "z"] },
      /leave out delete, --zone\.\n$/
    ],
    [
      "flags of a wrong request",
      { args: ["emit", "create", "--zone", "z", "--ip", "::g"] },
      /^--ip must be .*\n--vendor is missing: it must be .*\n--region is missing: .*\nNothing was sent: .*\n$/
    ],
    [
      "wrong settings",
      { args: ["watch"], environment: { KAFKA_BROKERS: "nowhere", OUTCOMES_TOPIC: "a b", KAFKA_TLS: "yes" } },
      /^3 settings are wrong:\n  OUTCOMES_TOPIC is "a b": .*\n  KAFKA_BROKERS is "nowhere": .*\n  KAFKA_TLS is "yes": .*\n$/
    ]
  ])("tells %s with exit code 2 and nothing on stdout", ([, options, expected]) =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run(options)
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.match(stderr, expected)
    }))

  it.effect("takes settings from .env where it runs, and none of it for its help", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "cli-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(directory, ".env")
      writeFileSync(file, "OUTCOMES_TOPIC='a b'\nKAFKA_BROKERS=nowhere\n")
      const { code, stderr } = yield* run({ args: ["watch"], directory })
      assert.deepStrictEqual([code, stderr.split("\n")[1]?.split(":")[0]], [2, "  OUTCOMES_TOPIC is \"a b\""])
      assert.notInclude(stderr, "nowhere")
      writeFileSync(file, "nonsense\n")
      const refused = yield* run({ args: ["watch"], directory })
      assert.strictEqual(refused.code, 2)
      assert.match(refused.stderr, /^A setting is wrong:\n  ENV_FILE is .* line 1 is not like that\n$/)
      assert.strictEqual((yield* run({ args: ["watch", "--help"], directory })).code, 0)
    }))

  it.effect("explains itself", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run({ args: ["--help"] })
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.include(stdout, "USAGE")
    }))
})
