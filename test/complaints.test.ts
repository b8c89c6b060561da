import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const PAGE = readFileSync(join(ROOT, 'docs/complaints.md'), 'utf8')

/** The table of the page: number, and the test files that prove the answer. */
const ROWS = [...PAGE.matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)].map(([, number = '', proof = '']) => ({
  number: Number(number),
  files: [...proof.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
}))

/** The numbers that the names of tests in a file carry: `complaint 17`, `complaint 16, 18`. */
function numbersIn(file: string): Set<number> {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const named = [...text.matchAll(/complaint ((?:\d+(?:, )?)+)/g)].flatMap((match) =>
    (match[1] ?? '').split(', '),
  )
  return new Set(named.map(Number))
}

describe('docs/complaints.md', () => {
  test('lists every complaint once, in order', () => {
    expect(ROWS.map(({ number }) => number)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1))
  })

  test.each(ROWS)(
    'complaint $number is proved by tests that are there and carry its number',
    ({ number, files }) => {
      expect(files.length).toBeGreaterThan(0)
      for (const file of files) {
        expect(existsSync(join(ROOT, file)), file).toBe(true)
        expect([...numbersIn(file)], file).toContain(number)
      }
    },
  )

  test('the tests beyond single complaints are there', () => {
    const after = PAGE.slice(PAGE.indexOf('Beyond single complaints'))
    for (const [, file = ''] of after.matchAll(/`(test\/[^`]+)`/g))
      expect(existsSync(join(ROOT, file)), file).toBe(true)
  })
})
