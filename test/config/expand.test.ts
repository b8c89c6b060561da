import { describe, expect, test } from 'vitest'
import { expand } from '../../src/config/expand.ts'
import { parseConfig } from '../../src/config/load.ts'
import fc from '../harness/fast-check.ts'

const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,12}$/)

describe('variables in a text', () => {
  test('a default stands in for a variable that is not set or empty', () => {
    expect(expand('${A:-x} ${B:-y} ${C:-}', { B: '', C: 'z' }).text).toBe('x y z')
  })

  test('a variable that is set but empty is empty where no default is given', () => {
    expect(expand('[${A}]', { A: '' })).toMatchObject({ text: '[]', mistakes: [] })
  })

  test('$${ is a literal ${, also before a name', () => {
    expect(expand('$${A} ${A} $$${A}', { A: 'x' }).text).toBe('${A} x $${A}')
  })

  test('what a variable holds is not looked at again', () => {
    expect(expand('${A}', { A: '${B} $${C}', B: 'no' }).text).toBe('${B} $${C}')
  })

  test('any texts around any values come back as they are', () => {
    const plain = fc.string({ unit: 'binary' }).filter((text) => !text.includes('$'))
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, name, fc.string({ unit: 'binary' }))), plain, (parts, end) => {
        const env = Object.fromEntries(parts.map(([, key, value]) => [key, value]))
        const text = parts.map(([before, key]) => `${before}\${${key}}`).join('') + end
        const wanted = parts.map(([before, key]) => before + (env[key] ?? '')).join('') + end
        expect(expand(text, env)).toEqual({
          text: wanted,
          variables: parts.map(([, key]) => key),
          mistakes: [],
        })
      }),
    )
  })

  test('any text can be written literally by doubling the $ of every ${', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', ':', '-') }), (text) => {
        const literal = text.replaceAll('${', () => '$${')
        expect(expand(literal, {})).toEqual({ text, variables: [], mistakes: [] })
      }),
    )
  })
})

describe('variables in the configuration', () => {
  test('whatever a variable holds stays one text and never becomes YAML', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 256 }), (value) => {
        for (const written of ['"${V}"', "'${V}'", '${V}', '|-\n        ${V}']) {
          const text = `version: 1\noverrides:\n  - match:\n      key_id: ${written}\n    detectors: {}\n`
          const [override] = parseConfig(text, 'alerts.yaml', { V: value }).overrides
          expect(override?.match).toEqual({ key_id: [value] })
        }
      }),
    )
  })

  test.each([
    '"]\nrevoke: { mode: off }',
    '!!js/function x',
    '*alias',
    '&a',
    '# no',
    '{a: b}',
    '- x',
    '~',
    'null',
    '123',
    'true',
  ])('the value %j is a text where a text is wanted', (value) => {
    const text = 'version: 1\noverrides:\n  - match: { key_id: "${V}" }\n    detectors: {}\n'
    expect(parseConfig(text, 'alerts.yaml', { V: value }).overrides[0]?.match).toEqual({ key_id: [value] })
  })

  test('numbers, switches and durations from variables are read as such', () => {
    const text = `version: \${V:-1}
schedule: { shards: "\${SHARDS}", tick: "\${SECONDS_OF_TICK}s" }
detectors:
  unusual_hour: { enabled: "\${HOURS:-false}", tail: "0.\${TAIL}" }
routes: [{ channels: [], continue: "\${ON}" }]
`
    const env = { SHARDS: '16', SECONDS_OF_TICK: '30', TAIL: '25', ON: 'TRUE' }
    const config = parseConfig(text, 'alerts.yaml', env)
    expect(config.schedule).toEqual({ shards: 16, tickMs: 30_000 })
    expect(config.detectors.get('unusual_hour')).toMatchObject({ enabled: false, tail: 0.25 })
    expect(config.routes).toEqual([{ channels: [], continue: true }])
  })

  test('any whole number from a variable is that number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), (shards) => {
        const config = parseConfig('version: 1\nschedule: { shards: "${N}" }\n', 'alerts.yaml', {
          N: String(shards),
        })
        expect(config.schedule.shards).toBe(shards)
      }),
    )
  })

  test('a variable in a comment or in a key is left alone', () => {
    expect(parseConfig('version: 1 # ${NOT_SET}\n', 'alerts.yaml', {}).revoke.mode).toBe('dry_run')
    expect(() => parseConfig('version: 1\n"${NOT_SET}": 1\n', 'alerts.yaml', {})).toThrow(
      'unknown setting "${NOT_SET}"',
    )
  })
})
