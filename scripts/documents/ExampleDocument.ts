import * as NodePath from "node:path"

const languages: Readonly<Record<string, string>> = {
  ".go": "go",
  ".java": "java",
  ".mod": "text",
  ".py": "python",
  ".sh": "bash",
  ".ts": "ts",
  ".xml": "xml"
}

const EXAMPLE = /(<!-- from: (\S+) -->\n(?:<!-- .+ -->\n)*\n)(?:```[^]*?\n```\n)?/g

/** A page with its examples as their files have them: the block after `<!-- from: path -->` is that file; the rest stays as it is. */
export const exampleDocument = (current: string, contentOf: (path: string) => string): string =>
  current.replaceAll(EXAMPLE, (_, marks: string, path: string) => {
    const language = languages[NodePath.extname(path)]
    if (language === undefined) throw new Error(`nothing is known of the language of ${path}`)
    return `${marks}\`\`\`${language}\n${contentOf(path).trimEnd()}\n\`\`\`\n`
  })
