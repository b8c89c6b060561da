import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { editorSchema, inputSchema, schemaAt, type JsonSchema } from '../../src/config/json-schema.ts'
import { parseConfig } from '../../src/config/load.ts'
import { valueAt } from '../../src/config/value-at.ts'
import { tableNames, withTables } from '../../scripts/configuration-reference.ts'
import { MISTAKES } from './mistakes.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')

const example = read('alerts.example.yaml')
/** The example with every setting that is off switched on: a "#" directly before a setting is removed. */
const complete = example.replaceAll(/^( *)#(?=[a-z-])/gm, '$1')
const ENV: Readonly<Record<string, string>> = {
  SLACK_WEBHOOK_URL: 'https://hooks.slack.com/services/T0/B0/x',
  SLACK_BOT_TOKEN: 'xoxb-1234567890-abcdef',
  PAGERDUTY_ROUTING_KEY: 'R0123456789abcdefghijklmnopqrstu',
  TEAMS_WORKFLOW_URL: 'https://prod-1.westeurope.logic.azure.com/workflows/x',
  DISCORD_WEBHOOK_URL: 'https://discord.com/api/webhooks/1/x',
  SMTP_URL: 'smtp://localhost:25',
  WEBHOOK_SECRET: 'a-secret-of-the-right-length',
  REVOKE_SECRET: 'a-secret-of-the-right-length',
  LITELLM_MASTER_KEY: 'sk-master',
  NEW_API_TOKEN: 'token',
  OPENAI_ADMIN_KEY: 'sk-admin',
  ANTHROPIC_ADMIN_KEY: 'sk-ant-admin',
  OPENROUTER_KEY: 'sk-or',
  UNKEY_ROOT_KEY: 'unkey',
  GATEWAY_REDIS_URL: 'redis://localhost:6379/0',
}
const validate = new Ajv({
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  validateFormats: false,
}).compile(editorSchema())

describe('alerts.example.yaml', () => {
  test('runs as it is, without any environment variable', () => {
    const { warnings } = parseConfig(example, 'alerts.example.yaml', {})
    expect(warnings.map(({ message }) => message)).toEqual([
      'no channel is defined: alerts are stored and logged, and nobody is told',
    ])
  })

  test('shows every default as it is', () => {
    const written = parseConfig(example, 'alerts.yaml', {})
    const defaults = parseConfig('version: 1\n', 'alerts.yaml', {})
    expect(written).toEqual({ ...defaults, digest: written.digest, warnings: written.warnings })
  })

  test('with everything switched on and the variables that it names set, is accepted without a warning', () => {
    const names = [...complete.matchAll(/^[^#\n]*\$\{(\w+)\}/gm)].map((match) => match[1] ?? '')
    expect(new Set(names)).toEqual(new Set(Object.keys(ENV)))
    const config = parseConfig(complete, 'alerts.yaml', ENV)
    expect(config.warnings).toEqual([])
    expect([...config.channels.keys()]).toEqual([
      'oncall',
      'security',
      'incidents',
      'pager',
      'team',
      'community',
      'siem',
    ])
  })

  test('holds every setting of every schema', () => {
    const input = parseYaml(complete) as Record<string, unknown>
    const overrides = valueAt(input, ['overrides', 0, 'detectors']) as object
    expect(Object.keys(overrides).length).toBeGreaterThan(0)
    // One key has one action: all kinds together stand in `action` and `actions`.
    const actions = valueAt(input, ['revoke', 'actions']) as readonly object[]
    const action = valueAt(input, ['revoke', 'action'])
    const others = actions.map((entry) => ({ revoke: { action: valueAt(entry, ['action']) } }))
    const again = { revoke: { actions: [{ action }] } }
    expect(missing(inputSchema(), [input, ...others, again], '')).toEqual([])
  })

  test('names its schema for editors in the first line', () => {
    expect(example.split('\n')[0]).toBe('# yaml-language-server: $schema=./alerts.schema.json')
  })
})

/** The settings of a schema that none of the values has. Settings of detectors are asked for once, not in overrides. */
function missing(schema: JsonSchema, values: readonly unknown[], path: string): string[] {
  if (schema.oneOf !== undefined) {
    return schema.oneOf.flatMap((kind) => {
      const type = kind.properties?.['type']?.const
      return missing(
        kind,
        values.filter((value) => valueAt(value, ['type']) === type),
        `${path}(${String(type)})`,
      )
    })
  }
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const found = values.map((value) => valueAt(value, [name])).filter((value) => value !== undefined)
    if (found.length === 0) return [`${path}.${name}`]
    return path === '.overrides[]' && name === 'detectors' ? [] : missing(inner, found, `${path}.${name}`)
  })
  const entries = schema.items === undefined ? [] : missing(schema.items, values.flat(), `${path}[]`)
  const named =
    typeof schema.additionalProperties === 'object'
      ? missing(
          schema.additionalProperties,
          values.flatMap((value) => Object.values(value as Record<string, unknown>)),
          `${path}.*`,
        )
      : []
  return [...own, ...entries, ...named]
}

describe('alerts.schema.json', () => {
  test('is what the code says; npm run schema writes it', () => {
    expect(JSON.parse(read('alerts.schema.json'))).toEqual(editorSchema())
  })

  test.each([
    ['the example', example],
    ['the example with everything on', complete],
    ['sections without lines', 'version: 1\nchannels:\nroutes:\n'],
    [
      'one setting in an override',
      'version: 1\noverrides: [{ match: { key_id: a }, detectors: { unusual_geo: { enabled: false } } }]\n',
    ],
  ])('accepts %s', (_name, text) => {
    validate(parseYaml(text))
    expect(validate.errors ?? []).toEqual([])
  })

  test('accepts a variable wherever a number, a switch, a duration or a choice is expected', () => {
    const text = `version: 1
channels: { mail: { type: email, smtp: "\${S}", from: "\${FROM}", to: ["\${TO}"], starttls: "\${TLS}" } }
routes: [{ match: { severity: "\${SEVERITY}", detector: ["\${DETECTOR}"] }, channels: ["\${CHANNEL}"], continue: "\${ON}" }]
notify: { group_wait: "\${WAIT:-5s}", group_by: ["\${GROUP}"] }
detectors: { volume_spike: { enabled: "\${ON}", min_requests: "\${N}", windows: ["\${W}"] }, spend_threshold: { limits: [{ window: "\${W}", usd: "\${USD}" }] } }
revoke: { mode: "\${MODE}", max_per_hour: "\${N}" }
schedule: { shards: "\${N}" }
links: { base_url: "\${URL}" }
`
    validate(parseYaml(text))
    expect(validate.errors ?? []).toEqual([])
  })

  test.each([
    'a section misspelt',
    'a detector misspelt',
    'a setting misspelt in an override',
    'a channel type misspelt',
    'a channel without its address',
    'a channel name with a space',
    'a duration in weeks',
    'a number out of range',
    'a number in quotes',
    'a mode misspelt',
    'one protected key that is no list',
  ])('marks %s', (name) => {
    expect(validate(parseYaml(MISTAKES[name]?.file ?? ''))).toBe(false)
  })

  test('describes every setting', () => {
    expect(undescribed(editorSchema() as JsonSchema, '')).toEqual([])
  })

  test('gives defaults that it accepts itself', () => {
    const defaults = Object.entries(inputSchema().properties ?? {}).flatMap(([name, { default: fallback }]) =>
      fallback === undefined ? [] : [[name, fallback] as const],
    )
    expect(defaults.length).toBeGreaterThan(5)
    expect(badDefaults(inputSchema(), '')).toEqual([])
  })
})

function undescribed(schema: JsonSchema, path: string): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [
    ...(inner.description === undefined && inner.const === undefined ? [`${path}.${name}`] : []),
    ...undescribed(inner, `${path}.${name}`),
  ])
  return [...own, ...parts(schema).flatMap((part) => undescribed(part, `${path}/`))]
}

function badDefaults(schema: JsonSchema, path: string): string[] {
  const { default: fallback, ...rest } = schema
  const isBad =
    fallback !== undefined && !new Ajv({ strict: false, validateFormats: false }).validate(rest, fallback)
  const inner = Object.entries(schema.properties ?? {})
  return [
    ...(isBad ? [path] : []),
    ...inner.flatMap(([name, part]) => badDefaults(part, `${path}.${name}`)),
    ...parts(schema).flatMap((part) => badDefaults(part, `${path}/`)),
  ]
}

function parts({ items, oneOf = [], anyOf = [], additionalProperties }: JsonSchema): JsonSchema[] {
  const found = [...oneOf, ...anyOf]
  if (items !== undefined) found.push(items)
  if (typeof additionalProperties === 'object') found.push(additionalProperties)
  return found
}

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md')

  test('has tables that are what the code says; npm run schema writes them', () => {
    expect(withTables(page)).toBe(page)
  })

  test('has a table for every section, every kind of channel and action, and every detector', () => {
    const there = [...page.matchAll(/<!-- settings: ([\w.]+) -->/g)].map((match) => match[1] ?? '')
    expect(new Set(there)).toEqual(new Set(tableNames()))
  })

  test('has examples that are accepted', () => {
    const channels =
      'channels:\n  oncall: &c { type: slack, url: "https://hooks.slack.com/x" }\n  security: *c\n  payments-oncall: *c\n'
    const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
    expect(examples.length).toBeGreaterThan(1)
    for (const text of examples) {
      expect(parseConfig(`version: 1\n${channels}${text}`, 'alerts.yaml', {}).warnings).toEqual([])
    }
  })
})

test('a setting is found by its path, also inside a channel of a certain type', () => {
  const input = { channels: { a: { type: 'email' } } }
  expect(schemaAt(inputSchema(), ['channels', 'a', 'starttls'], input)?.enum).toEqual([
    'auto',
    'always',
    'never',
  ])
  expect(schemaAt(inputSchema(), ['channels', 'a', 'secret'], input)).toBeUndefined()
})
