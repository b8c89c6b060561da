import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DETECTORS } from '../../src/detect/registry.ts'

const docs = join(import.meta.dirname, '../../docs')
const pageOf = (name: string): string => readFileSync(join(docs, 'detectors', `${name}.md`), 'utf8')

describe('the docs of detectors', () => {
  test.each(DETECTORS.map(({ name }) => name))(
    '%s has a page that says when it fires, when not, by what formula, and how to tune it',
    (name) => {
      const page = pageOf(name)
      expect(page).toMatch(new RegExp(`^# ${name}\n`))
      for (const part of ['**Fires**', '**Does not fire', '**Formula', '**Tune.**'])
        expect(page).toContain(part)
    },
  )

  test('there is a page for each detector, linked from the overview, and for nothing else', () => {
    const names = DETECTORS.map(({ name }) => name)
    expect(readdirSync(join(docs, 'detectors')).toSorted()).toEqual(
      names.map((name) => `${name}.md`).toSorted(),
    )
    const overview = readFileSync(join(docs, 'detectors.md'), 'utf8')
    for (const name of names) expect(overview).toContain(`](detectors/${name}.md)`)
  })

  test('every setting of a detector of its own is named on its page or its neighbour', () => {
    const shared = ['enabled', 'severity', 'false_alerts_per_100_key_days', 'min_history', 'min_events']
    const borrowed: Readonly<Record<string, string>> = { unfamiliar_model: 'unusual_geo' }
    for (const { name, settings } of DETECTORS) {
      const text = pageOf(name) + pageOf(borrowed[name] ?? name)
      const own = Object.keys(settings.shape).filter((setting) => !shared.includes(setting))
      expect({ name, missing: own.filter((setting) => !text.includes(`\`${setting}`)) }).toEqual({
        name,
        missing: [],
      })
    }
  })
})
