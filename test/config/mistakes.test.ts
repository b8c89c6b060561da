import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/config/problem.ts'
import { MISTAKES } from './mistakes.ts'

describe('every mistake is told with its place, what is wrong and what is allowed', () => {
  test.each(Object.entries(MISTAKES))('%s', (_name, { file, says }) => {
    const error = refusalOf(file)
    expect(error.message.split('\n')).toEqual(says.map((line) => `alerts.yaml:${line}`))
    expect(says.length).toBeGreaterThan(0)
  })

  test('no secret is in any error, however it is shown', () => {
    for (const { file } of Object.values(MISTAKES)) {
      const error = refusalOf(file)
      for (const shown of [
        String(error),
        inspect(error, { depth: 9 }),
        JSON.stringify(error),
        error.stack ?? '',
      ]) {
        expect(shown).not.toContain('hunter2')
      }
    }
  })
})

function refusalOf(text: string): ConfigError {
  try {
    parseConfig(text, 'alerts.yaml', { SECRET: 'hunter2' })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the file was accepted')
}
