import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/problem.ts'
import fc from '../harness/fast-check.ts'

const example = readFileSync(join(import.meta.dirname, '../../alerts.example.yaml'), 'utf8')
const complete = example.replaceAll(/^( *)#(?=[a-z-])/gm, '$1')
const ENV = {
  SLACK_WEBHOOK_URL: 'https://hooks.slack.com/services/T0/B0/hunter2',
  SMTP_URL: 'smtp://user:hunter2@localhost:25',
  WEBHOOK_SECRET: 'hunter2-hunter2-hunter2-hunter2',
  REVOKE_SECRET: 'hunter2-hunter2-hunter2-hunter2',
}

test('a file that was damaged anywhere is accepted or refused with places in it, and shows no secret', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ':',
      ' ',
      '\n',
      '\t',
      '-',
      '#',
      '*',
      '&a',
      '!',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      '${',
      '~',
      '<<: ',
      '__proto__: ',
      'null',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const damage = fc.record({ at: fc.nat(complete.length), removed: fc.nat(30), inserted: piece })
  const lines = complete.split('\n').length
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), (damages) => {
      const text = damages.reduce(
        (before, { at, removed, inserted }) => before.slice(0, at) + inserted + before.slice(at + removed),
        complete,
      )
      for (const problem of problemsOf(text)) {
        expect(problem.line).toBeGreaterThanOrEqual(1)
        expect(problem.line).toBeLessThanOrEqual(lines + 20)
        expect(problem.message).not.toContain('hunter2')
        expect(problem.path).not.toContain('hunter2')
      }
    }),
    { numRuns: 150 },
  )
}, 60_000)

function problemsOf(text: string): ConfigError['problems'] {
  try {
    return parseConfig(text, 'alerts.yaml', ENV).warnings
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
