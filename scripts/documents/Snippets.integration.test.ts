import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Leash } from "@origin-regions/testkit/Leash"
import { Console, Effect, FileSystem, Layer } from "effect"
import * as NodePath from "node:path"
import manifest from "../../package.json" with { type: "json" }
import { checkSnippet } from "./CheckedSnippets.ts"
import type { MarkdownPage, Snippet } from "./MarkdownPage.ts"
import { readPages } from "./MarkdownPages.ts"
import { makeShellSession, type ShellResult } from "./ShellSession.ts"
import { isShownAs } from "./SnippetOutput.ts"
import { snippetKafka, SnippetSystem, type StartedHere } from "./SnippetSystem.ts"

/*
 * Every block of every page: what is data is checked, what is a command is run, in the order of the page and in one directory, against real Kafka, API and
 * consumer; and what a page shows after it must be what came. Comments before a block say what can't be told from it:
 *
 * <!-- not run: the reason -->      that it isn't; what is not run is counted below
 * <!-- run: until "some text" -->   that it stays; the page goes on when it has said that
 * <!-- exit code: 1 -->             that it ends with this one, and not with 0
 * <!-- file: name -->               that it is a file, for what comes after it
 * <!-- is: fault plan -->           what it is, where it is data
 * <!-- fields: some/Source.ts -->   where its fields are declared
 */

/** Blocks that nobody runs. One more is a decision: can it really not be? */
const MOST_UNRUN = 21

/** Only for what hangs: pages take seconds, on a busy machine a minute. */
const PAGE_LIMIT = 300_000

const pages = [...readPages().values()].filter(({ snippets }) => snippets.length > 0)

const isUnrun = ({ marks }: Snippet): boolean => marks.has("not run")

/** A block with no language, or with one that is only looked at. */
const isText = ({ language }: Snippet): boolean => language === "text" || language === ""

const isCommand = (snippet: Snippet): boolean =>
  !isUnrun(snippet) && !isText(snippet) && !snippet.marks.has("file") && checkSnippet(snippet) === undefined

const interpreters: Readonly<Record<string, string>> = { js: "node", ts: "node", python: "python3" }

/** How a block is run, as shell commands. */
const commandsOf = ({ language, line, text }: Snippet, write: (file: string, text: string) => void): string => {
  if (language === "sh") return text
  const interpreter = interpreters[language]
  if (interpreter === undefined) throw new Error(`nothing runs ${language || "a block with no language"} yet`)
  const file = `.snippet-${line}.${language === "ts" ? "mts" : language === "js" ? "mjs" : "py"}`
  write(file, text)
  return `${interpreter} ${file}`
}

/** Where what a page has started itself is: `npm start` says so in its last lines, the consumer in its first. */
const startedBy = (output: string): StartedHere => {
  const [, api, token = ""] = /^API +(http:\S+) \(bearer token: (\S+)\)$/m.exec(output) ?? []
  const [, consumer] = /^(?:Consumer +|  \{ address: ')http:\/\/([^\s'/]+)/m.exec(output) ?? []
  return {
    environment: api === undefined ? {} : { CLOUDFLARE_BASE_URL: api },
    substitutions: [
      ...(api === undefined ? [] : [["127.0.0.1:8787", new URL(api).host], ["your-token", token]] as const),
      ...(consumer === undefined ? [] : [["127.0.0.1:8788", consumer]] as const)
    ]
  }
}

/** Pages that start everything or create the topics themselves get nothing but a broker; others share what runs already. */
const providedFor = (page: MarkdownPage) =>
  page.snippets.some((snippet) => isCommand(snippet) && /^npm start|\btopics create\b/m.test(snippet.text))
    ? snippetKafka
    : page.snippets.some(isCommand)
    ? Effect.flatMap(SnippetSystem, ({ started }) => started)
    : Effect.succeed({ environment: {}, substitutions: [] })

const runPage = Effect.fnUntraced(function*(page: MarkdownPage) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const session = makeShellSession(directory, {
    ENV_FILE: "/dev/null",
    DATA_DIRECTORY: yield* fs.makeTempDirectoryScoped()
  })
  const meet = ({ environment, substitutions }: StartedHere) => {
    session.set(environment)
    session.substitute(substitutions)
  }
  meet(yield* providedFor(page))

  const run = Effect.fnUntraced(function*(snippet: Snippet) {
    const [, until] = /^until "(.+)"$/.exec(snippet.marks.get("run") ?? "") ?? []
    const commands = commandsOf(snippet, session.write)
    if (until === undefined) return yield* session.run(commands)
    const result = yield* session.runUntil(commands, until)
    meet(startedBy(result.output))
    return result
  })

  let last: { readonly snippet: Snippet; readonly result: ShellResult } | undefined
  for (const snippet of page.snippets) {
    const at = `${page.path}:${snippet.line}`
    const checked = checkSnippet(snippet)
    if (isUnrun(snippet)) last = undefined
    else if (snippet.marks.has("file")) {
      const file = snippet.marks.get("file") ?? ""
      session.write(file, snippet.text)
      // From there on that counts, and not what we have set; Cloudflare's place is taken by the API that runs.
      if (file === ".env") {
        session.set({ KAFKA_BROKERS: undefined, ENV_FILE: NodePath.join(directory, file), HTTP_PORT: "0" })
      }
    } else if (checked !== undefined) {
      assert.strictEqual(checked.problem, undefined, `${at}: ${snippet.language}\n${snippet.text}\n`)
    } else if (isText(snippet)) {
      if (last !== undefined && !isShownAs(session.substituted(snippet.text), last.result.output)) {
        assert.fail(
          `${at} shows another output than that of line ${last.snippet.line}.\n\nIt shows:\n${
            session.substituted(snippet.text)
          }\n\nThere came:\n${last.result.output}\n`
        )
      }
      last = undefined
    } else {
      const result = yield* Effect.catch(
        run(snippet),
        ({ message }) => Effect.sync(() => assert.fail(`${at}: ${snippet.text}\n\n${message}\n`))
      )
      const expected = snippet.marks.get("exit code") ?? "0"
      if (result.exitCode !== undefined && String(result.exitCode) !== expected) {
        assert.fail(`${at} ended with ${result.exitCode}: ${snippet.text}\n\nIt said:\n${result.output}\n`)
      }
      last = { snippet, result }
    }
  }
})

const system = SnippetSystem.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(NodeServices.layer, KafkaBroker.layer, Leash.layer))
)

layer(system, { excludeTestServices: true, timeout: "2 minutes" })(
  "Snippets of the documents",
  (it) => {
    for (const page of pages) {
      it.effect(page.path, () => Effect.scoped(runPage(page)), PAGE_LIMIT)
    }

    it.effect("are run but for those that say why not, whose tasks there are", () =>
      Effect.gen(function*() {
        const unrun = pages.flatMap(({ path, snippets }) =>
          snippets.filter(isUnrun).map((snippet) => ({ at: `${path}:${snippet.line}`, snippet }))
        )
        const list = unrun.map(({ at, snippet }) => `${at}: not run: ${snippet.marks.get("not run")}`).join("\n")
        yield* Console.log(list)
        assert.isAtMost(unrun.length, MOST_UNRUN, list)
        for (const { at, snippet } of unrun) {
          for (const [, task = ""] of snippet.text.matchAll(/\bnpm (?:run (?:--silent )?)?([a-z:-]+)/g)) {
            assert.include(["ci", ...Object.keys(manifest.scripts)], task, at)
          }
        }
      }))
  }
)
