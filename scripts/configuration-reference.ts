import { inputSchema, type JsonSchema } from '../src/config/json-schema.ts'

/** Everything between `<!-- settings: notify -->` and `<!-- end -->` is the table of that section. */
const GENERATED = /(<!-- settings: ([\w.]+) -->\n)[\s\S]*?(<!-- end -->)/g

/** The page with every table of settings written anew from the code. */
export function withTables(page: string): string {
  const tables = tablesOf(inputSchema())
  return page.replaceAll(GENERATED, (_, start: string, name: string, end: string) => {
    const table = tables.get(name)
    if (table === undefined)
      throw new Error(`docs/configuration.md asks for a table of "${name}", which is no section`)
    return `${start}${table}\n${end}`
  })
}

/** The names of all tables: sections, and the parts of sections that have a table of their own. */
export function tableNames(): string[] {
  return [...tablesOf(inputSchema()).keys()]
}

function tablesOf({ properties = {} }: JsonSchema): Map<string, string> {
  const tables = new Map<string, string>()
  for (const [name, section] of Object.entries(properties)) {
    if (name === 'version') continue
    if (name === 'channels') {
      addKinds(tables, 'channels', section.additionalProperties)
    } else if (name === 'detectors') {
      for (const [detector, settings] of Object.entries(section.properties ?? {})) {
        tables.set(`detectors.${detector}`, `${settings.description}\n\n${tableOf(settings)}`)
      }
    } else {
      tables.set(name, tableOf(section.items ?? section))
    }
  }
  addKinds(tables, 'revoke.action', properties['revoke']?.properties?.['action'])
  return tables
}

function addKinds(tables: Map<string, string>, name: string, kinds: JsonSchema | boolean | undefined): void {
  if (typeof kinds !== 'object') return
  for (const kind of kinds.oneOf ?? [])
    tables.set(`${name}.${String(kind.properties?.['type']?.const)}`, tableOf(kind))
}

function tableOf(schema: JsonSchema): string {
  const rows = rowsOf(schema, '').map((cells) => `| ${cells.map(escaped).join(' | ')} |`)
  return ['| setting | takes | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function rowsOf({ properties = {}, required = [] }: JsonSchema, prefix: string): string[][] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    if (schema.const !== undefined || schema.oneOf !== undefined || isDetectors(name, schema)) return []
    const path = `${prefix}${name}`
    const fallback = required.includes(name) ? 'required' : defaultOf(schema)
    const row = [`\`${path}\``, kindOf(schema), fallback, schema.description ?? '']
    if (schema.properties !== undefined) return [row, ...rowsOf(schema, `${path}.`)]
    return schema.items?.properties === undefined ? [row] : [row, ...rowsOf(schema.items, `${path}[].`)]
  })
}

/** The settings of detectors inside an override have tables of their own. */
function isDetectors(name: string, { properties }: JsonSchema): boolean {
  return name === 'detectors' && properties !== undefined
}

function defaultOf(schema: JsonSchema): string {
  const fallback = schema.default
  if (fallback === undefined || schema.properties !== undefined) return ''
  return `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``
}

function kindOf(schema: JsonSchema): string {
  const { type, enum: options, items, anyOf, pattern, minimum, exclusiveMinimum, maximum } = schema
  // The one kind of alternative there is: one of something, or a list of them.
  if (anyOf !== undefined) return `${kindOf(anyOf[0] ?? {})}, or a list of it`
  if (options !== undefined) return options.map((option) => `\`${String(option)}\``).join(', ')
  if (type === 'array') return `list of ${items?.properties === undefined ? kindOf(items ?? {}) : 'maps'}`
  if (pattern?.includes('s|m|h|d') === true) return 'duration'
  if (type === 'integer' || type === 'number') {
    const from =
      minimum === undefined
        ? exclusiveMinimum === undefined
          ? []
          : [`more than ${exclusiveMinimum}`]
        : [`from ${minimum}`]
    const to = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? [] : [`to ${maximum}`]
    return [type === 'integer' ? 'whole number' : 'number', ...from, ...to].join(' ')
  }
  return KINDS[type ?? ''] ?? 'text'
}

const KINDS: Readonly<Record<string, string>> = { boolean: '`true`, `false`', object: 'map', string: 'text' }

function escaped(cell: string): string {
  return cell.replaceAll('|', '\\|')
}
