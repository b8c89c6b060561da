import { isMap, isScalar, visit, type Alias, type Pair } from 'yaml'
import type { z } from 'zod'
import { crossErrors } from './cross-checks.ts'
import { describeIssue, type IssueContext } from './describe-issue.ts'
import { isNumberText, isSwitchText } from './scalar-text.ts'
import { valueAt } from './value-at.ts'
import type { Env } from './expand.ts'
import { inputSchema } from './json-schema.ts'
import type { Path, Problem } from './problem.ts'
import { alertsSchema, type AlertsFile } from './schema.ts'
import { substitute, type Substitution } from './substitute.ts'
import { keyText, type YamlSource } from './yaml-source.ts'

export interface ParsedAlerts {
  /** Undefined when there are problems that leave nothing to go on with. */
  readonly parsed: AlertsFile | undefined
  /** What was written, with the environment put in, before defaults. */
  readonly input: unknown
  readonly problems: readonly Problem[]
}

// An honest file has a handful of aliases; the library refuses what would unfold into more than this.
const MAX_ALIASES = 100

/** YAML to settings: syntax, variables, then every setting against its schema. All problems are gathered. */
export function parseAlerts(source: YamlSource, env: Env): ParsedAlerts {
  const syntax = source.syntaxProblems()
  if (syntax.fatal) return { parsed: undefined, input: undefined, problems: syntax.problems }
  const substitution = substitute(source, env)
  const problems = [...syntax.problems, ...forbiddenKeys(source), ...substitution.problems]
  if (
    source.document.contents === null ||
    (isScalar(source.document.contents) && source.document.contents.value === null)
  ) {
    const message = 'the configuration is empty; it needs at least: version: 1'
    return { parsed: undefined, input: undefined, problems: [...problems, source.problemAt(0, [], message)] }
  }
  const input = plainValue(source)
  if (input === undefined)
    return { parsed: undefined, input, problems: [...problems, ...aliasProblems(source)] }
  const result = parseCoerced(input, source, substitution)
  if (!result.success) problems.push(...schemaProblems(result.error, { input, source, substitution }))
  problems.push(...crossErrors(input, source, substitution))
  return { parsed: problems.length === 0 ? result.data : undefined, input, problems }
}

/** `__proto__` is a name that JavaScript objects give a meaning, and validation skips. */
function forbiddenKeys(source: YamlSource): Problem[] {
  const problems: Problem[] = []
  visit(source.document, {
    Pair(_, { key }) {
      if (!isScalar(key) || key.value !== '__proto__') return
      problems.push(source.problemAt(key.range?.[0] ?? 0, [], 'unknown setting "__proto__"'))
    },
  })
  return problems
}

function plainValue(source: YamlSource): unknown {
  try {
    return withoutEmptySections(source.document.toJS({ maxAliasCount: MAX_ALIASES }))
  } catch (error) {
    // What the library throws for aliases that unfold without end, or into themselves.
    if (error instanceof ReferenceError) return undefined
    throw error
  }
}

/** A section of which every line is a comment counts as left out. An empty setting inside one does not: it is an error. */
function withoutEmptySections(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input
  return Object.fromEntries(Object.entries(input).filter(([, section]) => section !== null))
}

function aliasProblems(source: YamlSource): Problem[] {
  const problems: Problem[] = []
  const report = (alias: Alias, message: string): void => {
    problems.push(source.problemAt(alias.range?.[0] ?? 0, [], message))
  }
  const aliases: Alias[] = []
  visit(source.document, { Alias: (_, alias) => void aliases.push(alias) })
  for (const alias of aliases) {
    // Does not quote the name: it may be a secret that starts with a star.
    if (alias.resolve(source.document) === undefined)
      report(
        alias,
        'there is no anchor (&name) for this alias (*name); a text that starts with * needs quotes',
      )
  }
  const [first] = aliases
  if (problems.length === 0 && first !== undefined)
    report(first, 'aliases (*name) unfold into too much from here on; write the settings out')
  return problems
}

/**
 * A text that came from a variable is a number or a switch where the schema wants one. Only such texts: a "5" that
 * somebody wrote in quotes stays a text, and an error.
 */
function parseCoerced(input: unknown, source: YamlSource, { variables }: Substitution) {
  const first = alertsSchema.safeParse(input)
  if (first.success) return first
  const changed = first.error.issues.flatMap(flatten).map((issue) => {
    if (!variables.has(source.nodeAt(issue.path))) return false
    return setAt(input, issue.path, coerced(issue, valueAt(input, issue.path)))
  })
  return changed.includes(true) ? alertsSchema.safeParse(input) : first
}

type Issue = z.core.$ZodIssue

/** The issues inside the alternatives of a union, with their whole path, and the issue itself. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  return issue.errors.flat().flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] }))
}

function coerced(issue: Issue, value: unknown): unknown {
  if (typeof value !== 'string') return undefined
  const wanted =
    issue.code === 'invalid_type'
      ? issue.expected
      : issue.code === 'invalid_value'
        ? typeof issue.values[0]
        : ''
  if (wanted === 'boolean') return isSwitchText(value) ? value.toLowerCase() === 'true' : undefined
  return (wanted === 'number' || wanted === 'int') && isNumberText(value) ? Number(value) : undefined
}

function setAt(input: unknown, path: Path, value: unknown): boolean {
  const parent = valueAt(input, path.slice(0, -1))
  const key = path.at(-1)
  if (value === undefined || key === undefined || typeof parent !== 'object' || parent === null) return false
  Object.assign(parent, { [key]: value })
  return true
}

interface Checked {
  readonly input: unknown
  readonly source: YamlSource
  readonly substitution: Substitution
}

function schemaProblems(error: z.core.$ZodError, { input, source, substitution }: Checked): Problem[] {
  const { variables, unresolved } = substitution
  const context: IssueContext = {
    input,
    schema: inputSchema(),
    mayShow: (path) => !isSensitive(path) && !variables.has(source.nodeAt(path)),
    isRealKey: (path) =>
      !isSensitive([...path, '']) || (/^\w{1,32}$/.test(String(path.at(-1))) && hasValue(source, path)),
  }
  return error.issues
    .flatMap((issue) => describeIssue(issue, context))
    .filter(({ path }) => !unresolved.has(source.nodeAt(path)))
    .map(({ path, message, at }) => {
      const names = at === 'value' ? variables.get(source.nodeAt(path)) : undefined
      const origin =
        names === undefined ? '' : ` (the value comes from ${names.map((name) => `\${${name}}`).join(', ')})`
      return source.problem(path, `${message}${origin}`, at)
    })
}

/** Inside a channel and the revoke action everything but the type may hold a secret, also by mistake. */
function isSensitive(path: Path): boolean {
  const settingPath =
    path[0] === 'channels' ? path.slice(2) : path[0] === 'revoke' && path[1] === 'action' ? path.slice(2) : []
  return settingPath.length > 0 && !(settingPath.length === 1 && settingPath[0] === 'type')
}

/** False for `b` in `{ secret: a,b }`. */
function hasValue(source: YamlSource, path: Path): boolean {
  const parent = source.nodeAt(path.slice(0, -1))
  if (!isMap(parent)) return true
  const pair = parent.items.findLast((item: Pair) => keyText(item.key) === path.at(-1))
  return pair?.value !== null
}
