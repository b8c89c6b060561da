import type { z } from 'zod'
import { schemaAt, type JsonSchema } from './json-schema.ts'
import type { Path } from './problem.ts'
import { isNumberText, isSwitchText } from './scalar-text.ts'
import { closestDuration, closestTimeZone, didYouMean } from './suggest.ts'
import { valueAt } from './value-at.ts'

type Issue = z.core.$ZodIssue

/** Issues about one value, not about the keys or entries inside it. */
type ValueIssue = Exclude<
  Issue,
  { readonly code: 'unrecognized_keys' | 'invalid_key' | 'invalid_element' | 'invalid_union' }
>

/** An issue of zod in words. `at` says whether it is about the key or about its value. */
export interface Described {
  readonly path: Path
  readonly message: string
  readonly at: 'key' | 'value'
}

export interface IssueContext {
  /** What was validated. */
  readonly input: unknown
  readonly schema: JsonSchema
  /** False for a value that must not be shown: a secret, or from the environment. */
  readonly mayShow: (path: Path) => boolean
  /** False for a key of a map in braces that has no `:`, which may be the rest of an unquoted secret. */
  readonly isRealKey: (path: Path) => boolean
}

/** Says what is wrong and what is allowed, with a suggestion; one issue of zod may hold several. */
export function describeIssue(issue: Issue, context: IssueContext): Described[] {
  const { path } = issue
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey([...path, key], context))
    case 'invalid_key':
      return [{ path, at: 'key', message: ownMessage(issue.issues[0]) ?? 'this name is not allowed' }]
    case 'invalid_element':
      return issue.issues.flatMap((inner) =>
        describeIssue({ ...inner, path: [...path, ...inner.path] }, context),
      )
    case 'invalid_union':
      return invalidUnion(issue, context)
    case 'invalid_type':
    case 'invalid_value':
    case 'invalid_format':
    case 'too_small':
    case 'too_big':
    case 'not_multiple_of':
    case 'custom':
      return [{ path, at: 'value', message: `${invalidValue(issue, context)}${hint(path, context)}` }]
    default:
      return issue satisfies never
  }
}

/** zod's messages are in its own words; those that a schema of ours gave are better. */
function ownMessage(issue: Issue | undefined): string | undefined {
  return issue === undefined || /^(Invalid|Too (small|big)|Unrecognized)/.test(issue.message)
    ? undefined
    : issue.message
}

function unknownKey(path: Path, { schema, input, isRealKey }: IssueContext): Described {
  if (!isRealKey(path)) {
    const message =
      'a key without ":" and value; if it is the rest of a text that holds a comma, put that text in quotes'
    return { path: path.slice(0, -1), at: 'value', message }
  }
  const key = String(path.at(-1))
  const allowed = Object.keys(schemaAt(schema, path.slice(0, -1), input)?.properties ?? {})
  const close = didYouMean(key, allowed)
  const known =
    allowed.length === 0 ? '' : `${close === '' ? '; allowed' : ' Allowed'}: ${allowed.join(', ')}`
  return { path, at: 'key', message: `unknown setting "${key}"${close}${known}` }
}

function invalidUnion(issue: Issue & { code: 'invalid_union' }, context: IssueContext): Described[] {
  const { path } = issue
  const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : undefined
  if (options !== undefined) {
    const written = valueAt(context.input, path)
    const missing = written === undefined ? `"${String(path.at(-1))}" is missing; ` : ''
    const close = typeof written === 'string' && context.mayShow(path) ? didYouMean(written, options) : ''
    return [
      {
        path,
        at: 'value',
        message: `${missing}expected one of ${options.join(', ')}${got(path, context)}${close}`,
      },
    ]
  }
  // The alternative that fits best: a list whose entries are wrong before a text that is no list at all.
  const fitting =
    issue.errors.find((errors) => errors.every((error) => error.path.length > 0)) ??
    issue.errors.find((errors) => errors.every((error) => error.code !== 'invalid_type'))
  return (fitting ?? issue.errors[0] ?? []).flatMap((inner) =>
    describeIssue({ ...inner, path: [...path, ...inner.path] } as Issue, context),
  )
}

function invalidValue(issue: ValueIssue, context: IssueContext): string {
  const { path } = issue
  const value = valueAt(context.input, path)
  const expected = expectedAt(issue, context)
  if (value === undefined) return `"${String(path.at(-1))}" is missing; ${expected}`
  if (value === null) return `has no value; ${expected}, or leave the setting out`
  const shown = got(path, context)
  if (issue.code === 'invalid_type') {
    return `${expected}${shown}${quoteHint(issue.expected, value, isDuration(path, context))}`
  }
  if (issue.code === 'invalid_value') {
    const options = issue.values.map(String)
    const guess = typeof value === 'string' && context.mayShow(path) && !options.includes(value)
    return `${expected}${shown}${guess ? didYouMean(value, options) : ''}${quoteHint(typeof issue.values[0], value, false)}`
  }
  return ownMessage(issue) === undefined || isDuration(path, context) ? `${expected}${shown}` : expected
}

/** What is wrong is often only how it is written. */
function quoteHint(expected: string, value: unknown, isDurationText: boolean): string {
  if (expected === 'array' && typeof value !== 'object') return '; put it in [ ]'
  if (expected === 'string' && !isDurationText && (typeof value === 'number' || typeof value === 'boolean'))
    return '; put it in quotes'
  if (typeof value !== 'string') return ''
  const fits =
    expected === 'number' || expected === 'int'
      ? isNumberText(value)
      : expected === 'boolean' && isSwitchText(value)
  return fits ? '; remove the quotes' : ''
}

function expectedAt(issue: ValueIssue, context: IssueContext): string {
  const own = ownMessage(issue)
  if (own !== undefined) return own
  switch (issue.code) {
    case 'invalid_type':
      return isDuration(issue.path, context)
        ? 'expected a duration such as 30s, 5m, 4h or 7d'
        : `expected ${KINDS[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return issue.values.length === 1
        ? `expected ${String(issue.values[0])}`
        : `expected one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${COUNTED[issue.origin] ?? ''}`
    case 'too_big':
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${COUNTED[issue.origin] ?? ''}`
    case 'invalid_format':
      return FORMATS[issue.format] ?? 'not in the expected form'
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}`
    case 'custom':
      return 'not allowed'
    default:
      return issue satisfies never
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map of settings (key: value)',
  record: 'a map of names (name: value)',
  array: 'a list',
}
const COUNTED: Readonly<Record<string, string>> = { string: ' character(s)', array: ' in the list' }
const FORMATS: Readonly<Record<string, string>> = {
  url: 'expected a URL such as https://example.com/path',
  email: 'expected an e-mail address such as oncall@example.com',
}

function got(path: Path, context: IssueContext): string {
  const value = valueAt(context.input, path)
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return ''
  if (Array.isArray(value)) return ', got a list'
  if (typeof value === 'object') return value === null ? ', got nothing' : ', got a map'
  if (!context.mayShow(path)) return ''
  // Not JSON for numbers: it writes infinity as null.
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return `, got ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`
}

/** What was probably meant, for values that are neither one of a list nor of the wrong kind. */
function hint(path: Path, context: IssueContext): string {
  const value = valueAt(context.input, path)
  if ((typeof value !== 'string' && typeof value !== 'number') || !context.mayShow(path)) return ''
  const close = isDuration(path, context)
    ? closestDuration(String(value))
    : path.at(-1) === 'timezone'
      ? closestTimeZone(String(value))
      : undefined
  return close === undefined || close === value ? '' : `; did you mean "${close}"?`
}

function isDuration(path: Path, { schema, input }: IssueContext): boolean {
  return schemaAt(schema, path, input)?.pattern?.includes('s|m|h|d') === true
}
