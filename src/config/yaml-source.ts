import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml'
import type { Path, Problem } from './problem.ts'
import { formatPath } from './problem.ts'

/** A parsed YAML file that can say where in the text each setting stands. */
export class YamlSource {
  readonly file: string
  readonly text: string
  readonly document: Document.Parsed
  readonly #lines = new LineCounter()

  constructor(file: string, text: string) {
    this.file = file
    this.text = text
    // prettyErrors would quote the offending line, and with it a secret.
    this.document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      resolveKnownTags: false,
    })
  }

  /** What is wrong with the YAML itself. `fatal` when there is no telling what the file means. */
  syntaxProblems(): { readonly problems: Problem[]; readonly fatal: boolean } {
    const problems = [...this.document.errors, ...this.document.warnings].map((mistake) =>
      this.#syntaxProblem(mistake),
    )
    return {
      // One mistake often trips the parser several times in its line; only the first says what it is.
      problems: problems.filter(
        ({ line }, index) => problems.findIndex((other) => other.line === line) === index,
      ),
      fatal: this.document.errors.some((error) => error.code !== 'DUPLICATE_KEY'),
    }
  }

  problemAt(offset: number, path: Path, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset)
    return {
      file: this.file,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: formatPath(path),
      message,
    }
  }

  /** A problem with the value at a path; where there is none, at the key of the innermost map that is there. */
  problem(path: Path, message: string, at: 'key' | 'value' = 'value'): Problem {
    const found = this.#find(path)
    const missing = found.depth < path.length
    const node = at === 'key' || missing ? (found.key ?? found.value) : found.value
    return this.problemAt(node?.range?.[0] ?? 0, path, message)
  }

  /** The scalar, list or map at a path, aliases followed; undefined when there is none. */
  nodeAt(path: Path): Node | undefined {
    const found = this.#find(path)
    return found.depth === path.length ? this.#resolved(found.value) : undefined
  }

  #find(path: Path): {
    readonly key: Node | undefined
    readonly value: Node | undefined
    readonly depth: number
  } {
    let key: Node | undefined
    let value: Node | undefined = this.document.contents ?? undefined
    let depth = 0
    for (const step of path) {
      const parent = this.#resolved(value)
      // The last of two equal keys: it is the one whose value counts.
      const pair = isMap(parent)
        ? parent.items.findLast((item) => keyText(item.key) === String(step))
        : undefined
      const item = isSeq(parent) ? (parent.items[Number(step)] as Node | undefined) : undefined
      if (pair === undefined && item === undefined) break
      key = (pair?.key ?? undefined) as Node | undefined
      value = pair === undefined ? item : ((pair.value ?? pair.key) as Node)
      depth += 1
    }
    return { key, value, depth }
  }

  #resolved(node: Node | undefined): Node | undefined {
    return isAlias(node) ? node.resolve(this.document) : node
  }

  #syntaxProblem(mistake: YAMLError): Problem {
    const { line } = this.#lines.linePos(mistake.pos[0])
    const lineText = this.text.split('\n')[line - 1] ?? ''
    const unquoted = /[{[,][^"'#]*\$\{/.test(lineText) ? '; inside { } and [ ] write "${NAME}" in quotes' : ''
    return this.problemAt(mistake.pos[0], [], `${SYNTAX[mistake.code]}${unquoted}`)
  }
}

export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : ''
}

// Own words for every code: the library's messages quote the text, which may be a secret that starts with * or !.
const SYNTAX: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias (*name) cannot have an anchor or a tag; a text that starts with * needs quotes',
  BAD_ALIAS:
    'there is no anchor (&name) before this alias (*name); a text that starts with * or & needs quotes',
  BAD_COLLECTION_TYPE: 'tags (!name) are not used here; a text that starts with ! needs quotes',
  BAD_DIRECTIVE: 'YAML directives (%...) are not used here; a text that starts with % needs quotes',
  BAD_DQ_ESCAPE:
    'unknown escape in a text in double quotes; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT:
    'wrong indentation, or a bracket or quote above that is not closed; settings of one section start in the same column',
  BAD_PROP_ORDER: 'an anchor or tag stands in the wrong place; a text that starts with & or ! needs quotes',
  BAD_SCALAR_START: 'a text cannot start with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a map or list cannot start here; check the indentation of the next line, and put a text that holds ": " in quotes',
  BLOCK_IN_FLOW: 'a block cannot stand inside { } or [ ]; write it on one line, or without the brackets',
  DUPLICATE_KEY: 'this key is here twice; keep one of the two',
  IMPOSSIBLE: 'not valid YAML',
  KEY_OVER_1024_CHARS: 'a key cannot be longer than 1024 characters; a closing quote may be missing',
  MISSING_CHAR: 'something is missing here: a closing quote, a closing } or ], a comma, or a space after ":"',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line, followed by a colon and a space',
  MULTIPLE_ANCHORS: 'a value can have one anchor only; a text that starts with & needs quotes',
  MULTIPLE_DOCS: 'a second document (---) starts here; only one is allowed',
  MULTIPLE_TAGS: 'tags (!name) are not used here; a text that starts with ! needs quotes',
  NON_STRING_KEY: 'a key must be a plain text',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab cannot indent YAML; use spaces',
  TAG_RESOLVE_FAILED: 'tags (!name) are not used here; a text that starts with ! needs quotes',
  UNEXPECTED_TOKEN: 'not expected here; check quotes, brackets and the ":" before it',
}
