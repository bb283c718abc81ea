import { assert, describe, it } from "@effect/vitest"
import { variablesOf } from "@origin-regions/settings/Setting"
import { Result } from "effect"
import { settingsDocument, settingTables } from "./SettingsDocument.ts"

const all = Object.entries(settingTables).flatMap(([table, declared]) =>
  declared.flatMap((settings) => Object.values(settings)).map((setting) => ({ table, setting }))
)

describe("docs/settings.md", () => {
  it.each(all.filter(({ setting }) => !setting.name.endsWith("_FILE")))(
    "has an example of $setting.name that the $table takes",
    ({ setting: { default: written, example, type } }) => {
      assert.isTrue(Result.isSuccess(type.parse(example)), example)
      assert.notStrictEqual(example, written)
    }
  )

  it("has each variable once in a table, those of files included, and no secret's default", () => {
    for (const declared of Object.values(settingTables)) {
      const variables = declared.flatMap(variablesOf)
      assert.deepStrictEqual(variables, [...new Set(variables)])
    }
    for (const { setting: { presence, type } } of all) assert.isFalse(type.secret && presence === "defaulted")
  })

  it("keeps what is between the tables, and renders them anew", () => {
    const [before, after] = ["# Title\n\n", "\n\nProse\n"]
    const stale = `${before}<!-- settings: start -->\n| old |\n<!-- end of settings -->${after}`
    const fresh = settingsDocument(stale)
    assert.isTrue(fresh.startsWith(before) && fresh.endsWith(after))
    assert.notInclude(fresh, "old")
    assert.match(fresh, /\n\| `KAFKA_PORT` +\| `9092` +\| the port that is tried first for Kafka +\| a whole number /)
    assert.strictEqual(settingsDocument(fresh), fresh)
    assert.throws(() => settingsDocument(stale.replace("start", "nothing")), "nothing")
  })
})
