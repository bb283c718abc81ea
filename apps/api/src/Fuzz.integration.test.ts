import { assert, it } from "@effect/vitest"
import { Api } from "@origin-regions/testkit/Api"
import { halvesOf, INSPECTED, type LiveMemory, makeLiveMemory } from "@origin-regions/testkit/LiveMemory"
import { type Choices, seededChoices } from "@origin-regions/testkit/SeededChoices"
import { Clock, Config, Console, Effect } from "effect"
import { oddRequest } from "./fixtures/OddRequests.ts"
import { bytesOf, properRequest } from "./fixtures/ProperRequests.ts"
import { answersIn, exchange, type RawAnswer } from "./fixtures/RawAnswers.ts"
import { repetitions } from "./fixtures/Repetitions.ts"

/** More by hand: `API_FUZZ_REQUESTS=1000000`. */
const requests = repetitions("API_FUZZ_REQUESTS", 3000)
const seed = Effect.runSync(Config.String("API_FUZZ_SEED").pipe(Config.withDefault("origin-regions")))

const CONNECTIONS = 32

/** With the lengths of runs of them, a third of all requests are proper ones. */
const PROPER_RUN_ONE_IN = 10
const LONGEST_RUN = 8

/** How often memory is measured, with nothing in flight: after each of so many parts of the requests. */
const MEASUREMENTS = 20
const MOST_GROWTH = { live: 1.05, resident: 1.1 }

interface ErrorItem {
  readonly code?: unknown
  readonly message?: unknown
}

/** A JSON body, of which nothing is known yet. */
interface Body {
  readonly success?: unknown
  readonly errors?: ReadonlyArray<ErrorItem>
  readonly messages?: unknown
  readonly result?: unknown
  readonly openapi?: unknown
}

const bodyOf = ({ body }: RawAnswer) => JSON.parse(body) as Body

const isError = ({ code, message }: ErrorItem) => Number.isInteger(code) && typeof message === "string"

/** What is against the contract in any answer but to HEAD. */
const problemOf = (answer: RawAnswer): string | undefined => {
  const { head, status } = answer
  if (!(status < 500)) return "a fault of the server"
  if (/^content-type: text\/html/imu.test(head)) return "HTML"
  if (status === 302) return undefined
  const { errors, messages, openapi, result, success } = bodyOf(answer)
  if (openapi !== undefined) return undefined
  if (!Array.isArray(errors) || !Array.isArray(messages) || result === undefined) return "no envelope"
  if (success !== (status === 200) || success !== (errors.length === 0)) return "no success, nor a failure"
  return errors.every(isError) ? undefined : "an error without code or message"
}

const codeOf = (answer: RawAnswer) => bodyOf(answer).errors?.[0]?.code

interface Fuzzing {
  readonly port: number
  readonly token: string
  readonly choices: Choices
  /** Answers by status. */
  readonly answers: Map<number, number>
}

const count = ({ answers }: Fuzzing, { status }: RawAnswer): void =>
  void answers.set(status, (answers.get(status) ?? 0) + 1)

/** Sends a run of proper requests; each has its answer, in their order. */
const sendProper = Effect.fnUntraced(function*(fuzzing: Fuzzing, length: number) {
  const { choices, port, token } = fuzzing
  const run = Array.from({ length }, () => properRequest(choices))
  const all = answersIn(yield* exchange(port, bytesOf(run, token), { isWhole: true }))
  assert.lengthOf(all, run.length)
  for (const [index, request] of run.entries()) {
    const answer = all[index] ?? assert.fail("not answered")
    count(fuzzing, answer)
    const done = answer.status === 200 && answer.body.includes(request.says)
    const refused = request.refusal !== undefined && codeOf(answer) === request.refusal
    if (problemOf(answer) !== undefined || !(done || refused)) {
      assert.fail(`${JSON.stringify(request)} was answered ${answer.head}\n${answer.body.slice(0, 500)}`)
    }
  }
})

/** Sends something odd; whatever it is answered is right in itself. */
const sendOdd = Effect.fnUntraced(function*(fuzzing: Fuzzing) {
  const { choices, port, token } = fuzzing
  const { bytes, isHead } = oddRequest(choices, token)
  const all = answersIn(yield* exchange(port, bytes, { isWhole: false }), isHead)
  for (const [index, answer] of all.entries()) {
    count(fuzzing, answer)
    const isBodiless = isHead && index === 0 && answer.status < 500 && answer.body === ""
    const problem = isBodiless ? undefined : problemOf(answer)
    if (problem !== undefined) {
      assert.fail(
        `${problem}: ${bytes.subarray(0, 500).toString("latin1")}\nwas answered ${answer.head}\n${
          answer.body.slice(0, 500)
        }`
      )
    }
  }
})

/** Sends so many requests, on several connections at a time, and waits for all their answers. */
const fuzz = (fuzzing: Fuzzing, requests: number) =>
  Effect.suspend(() => {
    let left = requests
    const client = Effect.gen(function*() {
      while (left > 0) {
        const length = fuzzing.choices.below(PROPER_RUN_ONE_IN) === 0 ? 1 + fuzzing.choices.below(LONGEST_RUN) : 0
        left -= Math.max(1, length)
        yield* length > 0 ? sendProper(fuzzing, length) : sendOdd(fuzzing)
      }
    })
    return Effect.forEach(Array.from({ length: CONNECTIONS }), () => client, {
      concurrency: "unbounded",
      discard: true
    })
  })

it.live(
  "answers whatever bytes it is sent without a 5xx, without HTML, in envelopes, and lives on in the same memory",
  () =>
    Effect.gen(function*() {
      const api = yield* Api
      const { baseUrl, token } = api
      const port = Number(new URL(baseUrl).port)
      const fuzzing: Fuzzing = { port, token, choices: seededChoices(seed), answers: new Map() }
      const memoryNow = requests.isLong ? yield* makeLiveMemory(api.lines) : undefined
      const memory: Array<LiveMemory> = []
      const startedAt = yield* Clock.currentTimeMillis
      for (let part = 0; part < MEASUREMENTS; part++) {
        yield* fuzz(fuzzing, requests.count / MEASUREMENTS)
        if (memoryNow !== undefined) memory.push(yield* memoryNow)
      }
      const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000

      for (const status of [200, 400, 403, 404]) {
        assert.isAbove(fuzzing.answers.get(status) ?? 0, 0, `none was answered ${status}`)
      }
      const ask = (path: string) =>
        exchange(
          port,
          Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`),
          { isWhole: true }
        )
      assert.match((yield* ask("/health")).text, /^HTTP\/1\.1 200 /u)
      // Few odd ones are writes that can be done.
      for (const zone of requests.isLong ? ["fuzz_0", "zone"] : ["fuzz_0"]) {
        assert.include((yield* ask(`/audit?zone=${zone}`)).text, `"zone_id":"${zone}"`, "some writes were accepted")
      }
      if (!requests.isLong) return
      const statuses = [...fuzzing.answers].toSorted(([one], [other]) => one - other)
      yield* Console.log(
        `${requests.count} requests (API_FUZZ_SEED=${seed}) in ${seconds.toFixed(0)} s, ${
          (requests.count / seconds).toFixed(0)
        } each second; answers: ${statuses.map(([status, count]) => `${count} ${status}`).join(", ")}`
      )
      for (const kind of ["live", "resident"] as const) {
        const { description, first, second } = halvesOf(kind, memory)
        yield* Console.log(description)
        assert.isAtMost(second, first * MOST_GROWTH[kind])
      }
    }).pipe(
      Effect.provide(Api.layerWith(requests.isLong ? { environment: { NODE_OPTIONS: INSPECTED } } : {}))
    ),
  requests.options
)
