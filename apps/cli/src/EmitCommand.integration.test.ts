import { assert, layer } from "@effect/vitest"
import { mappingOutcome, outcomeRecord, type Settlement } from "@origin-regions/domain/MappingOutcome"
import { readRequest } from "@origin-regions/domain/RequestReader"
import type { SourceRecord } from "@origin-regions/domain/SourceRecord"
import { KafkaAdmin } from "@origin-regions/kafka/KafkaAdmin"
import { KafkaProducer } from "@origin-regions/kafka/KafkaProducer"
import { readKafkaSettings } from "@origin-regions/kafka/KafkaSettings"
import { KafkaTopicReader } from "@origin-regions/kafka/KafkaTopicReader"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { uniqueTopic } from "@origin-regions/testkit/Names"
import { Effect, Layer, Queue, Result, Stream } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runProgram, startProgram } from "./fixtures/RunningProgram.ts"

const Kafka = Layer.unwrap(Effect.map(KafkaBroker, ({ brokers }) => {
  const settings = Result.getOrThrow(readKafkaSettings({ KAFKA_BROKERS: brokers.join(",") }))
  return Layer.mergeAll(KafkaAdmin.layer(settings), KafkaProducer.layer(settings), KafkaTopicReader.layer(settings))
})).pipe(Layer.provideMerge(KafkaBroker.layer))

const newDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** What a consumer does that knows but one region: everything else is rejected with 1157. */
const settle = (record: SourceRecord, outcomes: string) => {
  const request = readRequest(record)
  const { verdict } = request
  const settlement: Settlement =
    verdict._tag === "Apply" && verdict.change.operation !== "delete" && verdict.change.region === "us-east-1"
      ? { _tag: "Succeeded", result: "upserted", mapping: null, recovered: false }
      : { _tag: "Rejected", code: 1157, message: "no" }
  const outcome = mappingOutcome({ groupId: "group", record, request, settlement, attempts: 1, settledAt: 0 })
  return KafkaProducer.use(({ send }) => send([{ topic: outcomes, record: outcomeRecord(outcome, record.key) }]))
}

const idOf = (record: SourceRecord) => readRequest(record).event.id

/** Stands for that consumer; `unanswered` is left alone. */
const answering = Effect.fnUntraced(function*(requests: string, outcomes: string, unanswered?: string) {
  const { read } = yield* KafkaTopicReader
  yield* Effect.forkScoped(
    Stream.runForEach(
      read({ topic: requests, from: "beginning" }),
      (record) => idOf(record) === unanswered ? Effect.void : settle(record, outcomes)
    )
  )
})

/** Finds a request and answers it. */
const answer = (requests: string, outcomes: string, id: string) =>
  KafkaTopicReader.use(({ read }) =>
    read({ topic: requests, from: "beginning" }).pipe(
      Stream.filter((record) => idOf(record) === id),
      Stream.take(1),
      Stream.runForEach((record) => settle(record, outcomes))
    )
  )

const rowInJson = (id: string, region = "us-east-1") =>
  JSON.stringify({ id, zone_id: "z", ip: "192.0.2.1", vendor: "aws", region })

const jsonLines = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line))

const newTopics = Effect.gen(function*() {
  const { brokers } = yield* KafkaBroker
  const [requests, outcomes] = [yield* uniqueTopic, yield* uniqueTopic]
  yield* KafkaAdmin.use(({ createTopics }) =>
    createTopics([{ topic: requests, partitions: 2 }, { topic: outcomes, partitions: 2 }])
  )
  return {
    requests,
    outcomes,
    environment: { KAFKA_BROKERS: brokers.join(","), REQUESTS_TOPIC: requests, OUTCOMES_TOPIC: outcomes }
  }
})

const head = "operation,zone_id,ip,vendor,region"

layer(Kafka, { excludeTestServices: true, timeout: "2 minutes" })("origin-regions emit", (it) => {
  it.effect("waits for what comes of a table, and writes what did not succeed so that it can be corrected and sent", () =>
    Effect.gen(function*() {
      const { environment, outcomes, requests } = yield* newTopics
      const directory = yield* newDirectory
      yield* answering(requests, outcomes)
      writeFileSync(
        join(directory, "rows.csv"),
        `${head}\nupsert,z,192.0.2.1,aws,us-east-1\ncreate,z,192.0.2.2,aws,us-east-9\nupsert,z,192.0.2.3,aws,us-east-1\n`
      )
      const args = ["emit", "--file", "rows.csv", "--wait", "--failed-to", "failed.csv"]
      const first = yield* runProgram({ args, environment, directory })
      assert.deepStrictEqual([first.code, first.stderr], [3, "1 of 3 requests did not succeed.\n"])
      assert.deepStrictEqual(first.stdout.split("\n").map((line) => line.replaceAll(/ +/g, " ")), [
        `Sent 3 requests to ${requests}.`,
        "outcome requests",
        "upserted 2",
        "1157 1",
        "",
        "line 3 create z/192.0.2.2 1157: no such vendor, or no such region of it",
        ""
      ])
      const failed = readFileSync(join(directory, "failed.csv"), "utf8")
      assert.strictEqual(
        failed,
        `${head},expires,outcome,problem\ncreate,z,192.0.2.2,aws,us-east-9,,1157,"no such vendor, or no such region of it"\n`
      )

      writeFileSync(join(directory, "rows.csv"), failed.replace("us-east-9", "us-east-1"))
      const corrected = yield* runProgram({ args: [...args, "--json"], environment, directory })
      assert.deepStrictEqual([corrected.code, corrected.stderr], [0, ""])
      const [, summary] = jsonLines(corrected.stdout)
      assert.deepInclude(summary, { topic: requests, sent: 1, answered: 1, unsuccessful: 0, outcomes: { upserted: 1 } })
      assert.strictEqual(readFileSync(join(directory, "failed.csv"), "utf8").split("\n").length, 2)
    }))

  it.effect("prints in JSON every outcome as it comes, of the requests and no others, and at last their numbers", () =>
    Effect.gen(function*() {
      const { environment, outcomes, requests } = yield* newTopics
      yield* answering(requests, outcomes, "last")
      // Another one's.
      yield* runProgram({ args: ["emit", "--file", "-"], environment, stdin: rowInJson("first") })
      const { ended, lines } = yield* startProgram({
        args: ["emit", "--file", "-", "--source", "/mine", "--allow-invalid", "--wait", "--json"],
        environment,
        stdin: [rowInJson("first"), rowInJson("second", "nowhere"), rowInJson("last"), "no JSON"].join("\n")
      })
      yield* Queue.takeN(lines, 2)
      yield* answer(requests, outcomes, "last")
      const { code, stderr, stdout } = yield* ended
      assert.strictEqual(code, 3)
      assert.match(stderr, /^1 request without id and source .*\n2 of 4 requests did not succeed\.\n$/)
      const told = jsonLines(stdout)
      const summary = told.pop()
      assert.deepStrictEqual(
        told.map(({ outcome, place, row }) => [row, place, outcome.causationid, outcome.subject, outcome.outcomecode]),
        [
          [1, "line 1", "first", "z/192.0.2.1", "upserted"],
          [2, "line 2", "second", "z/192.0.2.1", "1157"],
          [3, "line 3", "last", "z/192.0.2.1", "upserted"]
        ]
      )
      assert.deepStrictEqual(summary, {
        topic: requests,
        sent: 4,
        answered: 3,
        unanswered: 0,
        unsuccessful: 1,
        outcomes: { upserted: 2, 1157: 1 }
      })
    }))

  it.effect("says at Ctrl-C, and when its time is over, how many are still unanswered", () =>
    Effect.gen(function*() {
      const { environment, outcomes, requests } = yield* newTopics
      yield* answering(requests, outcomes, "never")
      const row = { zone_id: "z", ip: "192.0.2.1", vendor: "aws", region: "us-east-1" }
      const stdin = `${JSON.stringify({ ...row, id: "never" })}\n`
      const waiting = yield* startProgram({ args: ["emit", "--file", "-", "--wait"], environment, stdin })
      yield* Queue.take(waiting.lines)
      waiting.child.kill("SIGINT")
      const { code, stderr } = yield* waiting.ended
      assert.deepStrictEqual([code, stderr], [130, `Sent 1 request to ${requests}; 1 of them still unanswered.\n`])

      const late = yield* runProgram({
        args: ["emit", "--file", "-", "--wait", "--timeout", "1 millis", "--json"],
        environment,
        stdin
      })
      assert.strictEqual(late.code, 4)
      assert.match(late.stderr, /^1 of 1 requests are unanswered when --timeout is over\. .*\n$/)
      assert.deepInclude(JSON.parse(late.stdout), { sent: 1, answered: 0, unanswered: 1, outcomes: {} })
    }))

  it.effect("says what came of a single request", () =>
    Effect.gen(function*() {
      const { environment, outcomes, requests } = yield* newTopics
      yield* answering(requests, outcomes)
      const flags = "--id one --zone z --ip 192.0.2.1 --vendor aws --region us-east-1 --wait --timeout 1h"
      const { code, stderr, stdout } = yield* runProgram({ args: ["emit", "upsert", ...flags.split(" ")], environment })
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.strictEqual(
        stdout,
        `Sent the request one to ${requests}.\nupsert z/192.0.2.1  upserted: 192.0.2.1 has it\n`
      )
    }))

  it.effect("tells twenty problems and how many more there are, and has sent nothing", () =>
    Effect.gen(function*() {
      const { environment } = yield* newTopics
      const stdin = Array.from({ length: 23 }, () => "{}").join("\n")
      const { code, stderr, stdout } = yield* runProgram({
        args: ["emit", "--file", "-", "--operation", "delete", "--json"],
        environment,
        stdin
      })
      assert.strictEqual(code, 2)
      const lines = stderr.split("\n")
      assert.deepStrictEqual([lines.length, lines[19]?.slice(0, 8), lines[20]], [
        23,
        "line 10:",
        "… and 26 more problems."
      ])
      const { more, problems, sent } = JSON.parse(stdout)
      assert.deepStrictEqual([sent, problems.length, more], [0, 20, 26])
    }))
})
