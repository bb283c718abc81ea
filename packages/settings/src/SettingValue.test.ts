import { assert, describe, it } from "@effect/vitest"
import { defaulted, optional, required } from "./Setting.ts"
import { SettingReader } from "./SettingReader.ts"
import { secret, text, webAddress } from "./SettingType.ts"
import { settingValues } from "./SettingValue.ts"

const about = { meaning: "", example: "" }

describe("settingValues", () => {
  it("says what each setting is and where that comes from, and shows no secret", () => {
    const token = secret("a token")
    const declared = {
      brokers: required("BROKERS", text("brokers"), about),
      group: defaulted("GROUP", text("a group"), { ...about, default: "us" }),
      topic: defaulted("TOPIC", text("a topic"), { ...about, default: "in" }),
      user: optional("USER_NAME", text("a user"), { ...about, without: "nobody" }),
      token: optional("TOKEN", token, about),
      key: optional("KEY", token, about),
      password: optional("PASSWORD", token, about)
    }
    const environment = { BROKERS: " a:1 ", TOPIC: "", GROUP: "them", TOKEN: "s3cret", KEY_FILE: "/run/key" }
    assert.deepStrictEqual(
      settingValues([declared, { other: declared.topic }], { environment, fromFile: new Set(["GROUP"]) }),
      [
        { name: "BROKERS", value: "a:1", from: "environment" },
        { name: "GROUP", value: "them", from: "environment file" },
        { name: "TOPIC", value: "in", from: "default" },
        { name: "USER_NAME", value: undefined, from: "nowhere" },
        { name: "TOKEN", value: "(hidden)", from: "environment" },
        { name: "KEY", value: "(hidden)", from: "secret file" },
        { name: "PASSWORD", value: undefined, from: "nowhere" },
        { name: "TOPIC", value: "in", from: "default" }
      ]
    )
  })

  it("shows no password that an address has in it, nor does a problem with it", () => {
    const address = required("ADDRESS", webAddress, about)
    for (const text of ["https://user:s3cret@one.example/path", "htps://s3cret@one.example", "x://user:s3/cr@et@one"]) {
      const environment = { ADDRESS: text }
      const [value] = settingValues([{ address }], { environment, fromFile: new Set() })
      assert.match(value?.value ?? "", /^\w+:\/\/\(hidden\)@one/)
      const reader = new SettingReader(environment)
      reader.read(address)
      reader.problem(address, "another one", text)
      const problems = reader.result(undefined)
      assert.notMatch(JSON.stringify(problems), /s3cret|cr@et/)
      assert.include(JSON.stringify(problems), "(hidden)@one")
    }
  })
})
