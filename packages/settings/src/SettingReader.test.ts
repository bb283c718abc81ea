import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted, Result } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Environment } from "./Environment.ts"
import { defaulted, optional, required, type Setting, variablesOf, withDefault } from "./Setting.ts"
import { describeProblems } from "./SettingProblem.ts"
import { SettingReader } from "./SettingReader.ts"
import {
  duration,
  list,
  oneOf,
  secret,
  type SettingType,
  text,
  textFile,
  trueOrFalse,
  webAddress,
  wholeNumber
} from "./SettingType.ts"

const about = { meaning: "", example: "" }

/** What reading the setting makes of the environment: its value, or the message that a person gets. */
const reading = <A>(environment: Environment, setting: Setting<A>): A | string => {
  const reader = new SettingReader(environment)
  return Result.match(reader.result(reader.read(setting)), {
    onSuccess: (value) => value,
    onFailure: describeProblems
  })
}

const wrong = (setting: string, value: string, expected: string): string =>
  `A setting is wrong:\n  ${setting} is ${JSON.stringify(value)}: expected ${expected}`

/** What comes of a text where a required setting of the type is meant. */
const readingText = <A>(type: SettingType<A>, value: string) => reading({ IT: value }, required("IT", type, about))

/** What `use` makes of a file with this content. */
const inFile = <A>(content: string, use: (path: string) => A) => {
  const directory = mkdtempSync(join(tmpdir(), "settings-"))
  try {
    writeFileSync(join(directory, "token"), content)
    return use(join(directory, "token"))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe("SettingReader", () => {
  const group = defaulted("GROUP", text("a group id", /^\S+$/), { ...about, default: "origin-regions" })

  it("trims, and takes an empty variable for an unset one", () => {
    assert.strictEqual(reading({ GROUP: " blue " }, group), "blue")
    assert.strictEqual(reading({ GROUP: "  " }, group), "origin-regions")
    assert.strictEqual(reading({}, group), "origin-regions")
    assert.strictEqual(reading({}, withDefault(group, "others")), "others")
    assert.strictEqual(reading({ GROUP: "a b" }, group), wrong("GROUP", "a b", "a group id"))
    assert.isUndefined(reading({}, optional("GROUP", group.type, about)))
    assert.strictEqual(
      reading({}, required("GROUP", group.type, about)),
      "A setting is wrong:\n  GROUP is not set: expected a group id"
    )
  })

  it("goes on with the default after a problem", () => {
    const reader = new SettingReader({ GROUP: "a b" })
    assert.strictEqual(reader.read(group), "origin-regions")
    assert.isTrue(Result.isFailure(reader.result(undefined)))
  })

  it("has no default that its type does not take", () => {
    assert.throws(() => withDefault(group, "a b"), "GROUP")
  })

  it("reads lists", () => {
    const brokers = list("host:port, with commas", /^\w+:\d+$/)
    assert.deepStrictEqual(readingText(brokers, "a:1, b:2"), ["a:1", "b:2"])
    for (const bad of ["a:1,,b:2", "a", "a:1,"]) {
      assert.strictEqual(readingText(brokers, bad), wrong("IT", bad, "host:port, with commas"))
    }
  })

  it("reads one of several words", () => {
    const level = oneOf(["debug", "info"])
    assert.strictEqual(readingText(level, "info"), "info")
    assert.strictEqual(readingText(level, "DEBUG"), wrong("IT", "DEBUG", "one of debug, info"))
  })

  it("reads whole numbers within their range", () => {
    const concurrency = wholeNumber(1, 1024)
    assert.strictEqual(readingText(concurrency, "1"), 1)
    assert.strictEqual(readingText(concurrency, "1024"), 1024)
    for (const bad of ["0", "1025", "1.5", "-1", "1e2", "0x10", "many", "99999999999999999999"]) {
      assert.strictEqual(readingText(concurrency, bad), wrong("IT", bad, "a whole number from 1 to 1024"))
    }
  })

  it("reads true and false", () => {
    assert.strictEqual(readingText(trueOrFalse, "true"), true)
    assert.strictEqual(readingText(trueOrFalse, "false"), false)
    assert.strictEqual(readingText(trueOrFalse, "yes"), wrong("IT", "yes", "true or false"))
  })

  it("reads durations that end and are longer than nothing, and within a range where there is one", () => {
    const expected = "a duration such as \"10 seconds\" or \"500 millis\""
    assert.deepStrictEqual(readingText(duration(), "10 seconds"), Duration.seconds(10))
    assert.deepStrictEqual(readingText(duration(), "500 millis"), Duration.millis(500))
    for (const bad of ["10", "soon", "0 seconds", "-1 seconds", "Infinity", "10seconds"]) {
      assert.strictEqual(readingText(duration(), bad), wrong("IT", bad, expected))
    }
    const range = { minimum: Duration.seconds(1), maximum: Duration.seconds(3), expected: "from 1 to 3 seconds" }
    assert.deepStrictEqual(readingText(duration(range), "1 second"), Duration.seconds(1))
    assert.deepStrictEqual(readingText(duration(range), "3 seconds"), Duration.seconds(3))
    assert.strictEqual(readingText(duration(range), "999 millis"), wrong("IT", "999 millis", "from 1 to 3 seconds"))
    assert.strictEqual(readingText(duration(range), "4 seconds"), wrong("IT", "4 seconds", "from 1 to 3 seconds"))
    assert.strictEqual(readingText(duration(range), "soon"), wrong("IT", "soon", expected))
  })

  it("reads http and https addresses", () => {
    const read = readingText(webAddress, "https://api.example.com/client/v4")
    assert.strictEqual(read instanceof URL ? read.href : read, "https://api.example.com/client/v4")
    for (const bad of ["api.example.com", "ftp://api.example.com", "http://"]) {
      assert.strictEqual(readingText(webAddress, bad), wrong("IT", bad, "an http:// or https:// address"))
    }
  })

  it("reads files", () => {
    const directory = mkdtempSync(join(tmpdir(), "settings-"))
    try {
      const path = join(directory, "ca.pem")
      writeFileSync(path, "pem")
      assert.strictEqual(readingText(textFile("a PEM file"), path), "pem")
      assert.strictEqual(readingText(textFile("a PEM file"), directory), wrong("IT", directory, "a PEM file"))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it("keeps secrets out of sight", () => {
    const token = secret("an API token", { matches: /^\S+$/, expected: "an API token without spaces" })
    const read = readingText(token, "s3cret")
    assert.isTrue(Redacted.isRedacted(read))
    assert.notInclude(JSON.stringify({ read }) + String(read), "s3cret")
    assert.strictEqual(Redacted.isRedacted(read) ? Redacted.value(read) : read, "s3cret")
    assert.strictEqual(readingText(token, "s3 cret"), wrong("IT", "(hidden)", "an API token without spaces"))
    const reader = new SettingReader({ IT: "s3cret" })
    const setting = optional("IT", token, about)
    reader.problem(setting, "something else", "s3cret")
    assert.notInclude(JSON.stringify(reader.result(undefined)), "s3cret")
  })

  describe("a secret in a file", () => {
    const token = secret("an API token", { matches: /^\S+$/, expected: "an API token without spaces" })
    const setting = optional("TOKEN", token, about)
    const readingFile = (content: string, environment: Environment = {}) =>
      inFile(content, (path) => {
        const read = reading({ TOKEN_FILE: path, ...environment }, setting)
        return typeof read === "string" ? read.replaceAll(path, "PATH") : read
      })

    it("is read without the line end", () => {
      for (const content of ["s3cret", "s3cret\n", "s3cret\r\n"]) {
        const read = readingFile(content)
        assert.strictEqual(Redacted.isRedacted(read) ? Redacted.value(read) : read, "s3cret")
      }
      inFile("s3cret", (path) => assert.isTrue(new SettingReader({ TOKEN_FILE: path }).isSet(setting)))
      const read = readingFile("s3cret\n", { TOKEN: " " })
      assert.isTrue(Redacted.isRedacted(read))
    })

    it("is one too many where there is the secret itself", () => {
      assert.strictEqual(
        readingFile("s3cret", { TOKEN: "other" }),
        wrong("TOKEN_FILE", "PATH", "nothing, as TOKEN is set")
      )
    })

    it("is told of by the variable that names the file, where it is empty, wrong or not to be read", () => {
      assert.strictEqual(
        readingFile("\n"),
        wrong("TOKEN_FILE", "PATH", "a file with an API token, and that one is empty")
      )
      assert.strictEqual(readingFile("s3 cret"), wrong("TOKEN_FILE", "(hidden)", "an API token without spaces"))
      const missing = "the path of a readable file with an API token"
      for (const declared of [setting, required("TOKEN", token, about)]) {
        assert.strictEqual(reading({ TOKEN_FILE: "/nowhere" }, declared), wrong("TOKEN_FILE", "/nowhere", missing))
      }
    })

    it("is nothing that another setting has, or one whose file is a setting of its own", () => {
      assert.deepStrictEqual(variablesOf({ setting }), ["TOKEN", "TOKEN_FILE"])
      assert.deepStrictEqual(variablesOf({ it: optional("TOKEN", token, { ...about, ownFile: true }) }), ["TOKEN"])
      assert.strictEqual(
        reading({ GROUP_FILE: "/nowhere" }, defaulted("GROUP", text("a group"), { ...about, default: "g" })),
        "g"
      )
    })
  })

  it("reads all that is declared, by the program's names", () => {
    const declared = { group, port: defaulted("PORT", wholeNumber(0, 65_535), { ...about, default: "80" }) }
    const read: { readonly group: string; readonly port: number } = new SettingReader({ PORT: "8080" })
      .readAll(declared)
    assert.deepStrictEqual(read, { group: "origin-regions", port: 8080 })
    assert.deepStrictEqual(variablesOf(declared), ["GROUP", "PORT"])
  })

  it("tells every problem at once, in the settings' order, those between settings and of others too", () => {
    const declared = {
      email: optional("EMAIL", text("an e-mail address"), about),
      port: required("PORT", wholeNumber(1, 65_535), about)
    }
    const kafka = new SettingReader({})
    kafka.read(required("KAFKA_BROKERS", text("host:port"), about))
    const reader = new SettingReader({ PORT: "x", EMAIL: "e" })
    reader.readAll(declared)
    assert.isTrue(reader.isSet(declared.email))
    assert.isFalse(reader.isSet(required("OTHER", text(""), about)))
    reader.problem(declared.email, "nothing next to TOKEN", "e")
    const others = Result.match(kafka.result(undefined), { onSuccess: () => [], onFailure: (problems) => problems })
    assert.deepStrictEqual(
      Result.match(reader.result("never", others), { onSuccess: (value) => value, onFailure: describeProblems }),
      [
        "3 settings are wrong:",
        "  EMAIL is \"e\": expected nothing next to TOKEN",
        "  PORT is \"x\": expected a whole number from 1 to 65535",
        "  KAFKA_BROKERS is not set: expected host:port"
      ].join("\n")
    )
  })
})
