import { assert, describe, it } from "@effect/vitest"
import { exampleDocument } from "./ExampleDocument.ts"

const page = (...blocks: ReadonlyArray<string>) =>
  `# Page\n\n<!-- from: a/one.py -->\n<!-- file: one.py -->\n\n${blocks[0] ?? ""}\nText.\n\n<!-- from: two.sh -->\n\n${
    blocks[1] ?? ""
  }`

const contents = new Map([["a/one.py", "print(1)\n"], ["two.sh", "echo 2\necho $0\n"]])
const contentOf = (path: string) => contents.get(path) ?? assert.fail(path)

describe("exampleDocument", () => {
  const whole = page("```python\nprint(1)\n```\n", "```bash\necho 2\necho $0\n```\n")

  it("puts files where they are asked for, and leaves them where they are", () => {
    assert.strictEqual(exampleDocument(page(), contentOf), whole)
    assert.strictEqual(exampleDocument(whole, contentOf), whole)
  })

  it("replaces what a file was before", () => {
    assert.strictEqual(exampleDocument(page("```python\nprint(0)\n\nold()\n```\n", "```bash\n```\n"), contentOf), whole)
  })

  it("knows no other languages", () => {
    assert.throws(() => exampleDocument("<!-- from: x.cob -->\n\n", () => ""), "language of x.cob")
  })
})
