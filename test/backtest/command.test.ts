import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { usageEvent } from '../harness/builders.ts'
import { START_MS } from './fleet.ts'

const BIN = join(import.meta.dirname, '../../bin/keyhound.cjs')
let directory = ''
let file = ''

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhound-backtest-'))
  file = join(directory, 'events.ndjson')
  // An hour of events at $1 each, one line that is broken, and one whose key is a secret.
  const events = Array.from({ length: 20 }, (_, n) =>
    JSON.stringify(
      usageEvent({
        timestamp: START_MS + n * 120_000,
        cost_usd: 1,
        key_id: 'sk-proj-AbCdEf0123456789AbCdEf',
      }),
    ),
  )
  await writeFile(file, [...events.slice(0, 10), '{"id":', ...events.slice(10), ''].join('\n'))
  await writeFile(
    join(directory, 'alerts.yaml'),
    'version: 1\ndetectors: { spend_threshold: { limits: [{ window: 1h, usd: 15 }] } }\n',
  )
})
afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function keyhound(...options: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, 'backtest', ...options], { cwd: directory }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

describe('keyhound backtest', () => {
  test('prints one alert a line, tells broken lines on standard error, and shows no secret', async () => {
    const { code, stdout, stderr } = await keyhound('--events', file, '--format', 'ndjson')
    expect(code).toBe(0)
    const [alert, ...more] = stdout.trimEnd().split('\n')
    expect(more).toEqual([])
    expect(JSON.parse(alert ?? '')).toMatchObject({
      detector: 'spend_threshold',
      key_id: expect.stringMatching(/^hashed-/) as string,
      at: '2026-03-02T00:30:00.000Z',
      severity: 'critical',
      summary: expect.stringContaining('spent $16.00 within 1 hour; the limit is $15.00') as string,
      evidence: { metric: 'cost_usd', observed: 16 },
    })
    expect(stderr).toContain('line 11: not JSON')
    expect(stdout + stderr).not.toContain('AbCdEf0123456789')
  })

  test('prints a report as JSON', async () => {
    const { code, stdout } = await keyhound('--events', file, '--format', 'json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      events: 20,
      rejected_lines: 1,
      keys: 1,
      key_days: 1,
      alerts: [{ severity: 'critical' }],
    })
  })

  test('exits 1 when false alerts exceed the budget, and 0 when the labels explain them', async () => {
    const over = await keyhound('--events', file, '--config', 'alerts.yaml', '--budget', '0.5')
    expect(over.code).toBe(1)
    expect(over.stderr).toContain('over the budget of 0.5')
    const labels = join(directory, 'labels.json')
    const key = /hashed-[\w-]+/.exec(over.stdout)?.[0]
    await writeFile(
      labels,
      JSON.stringify({
        attacks: [{ key_id: key, start: '2026-03-02T00:00:00Z', end: '2026-03-02T01:00:00Z' }],
      }),
    )
    const within = await keyhound(
      '--events',
      file,
      '--config',
      'alerts.yaml',
      '--budget',
      '0.5',
      '--labels',
      labels,
    )
    expect(within.code).toBe(0)
    expect(within.stdout).toMatch(/^warning and worse +1 +1 +1\.00/m)
  })

  test('two configurations are compared, and a report is written', async () => {
    await writeFile(
      join(directory, 'off.yaml'),
      'version: 1\ndetectors: { spend_threshold: { enabled: false } }\n',
    )
    const report = join(directory, 'report.html')
    const options = [
      '--config',
      'alerts.yaml',
      '--config',
      'off.yaml',
      '--report',
      report,
      '--format',
      'json',
    ]
    const { code, stdout } = await keyhound('--events', file, ...options)
    expect(code).toBe(0)
    const { diff } = JSON.parse(stdout) as { diff: { only_a: { detector: string }[] } }
    expect(diff.only_a.map(({ detector }) => detector)).toContain('spend_threshold')
    expect(await readFile(report, 'utf8')).toContain('<!doctype html>')
  })

  test('a file that is not there is failed work, a wrong time wrong usage', async () => {
    const [missing, wrong] = await Promise.all([
      keyhound('--events', 'nowhere.ndjson'),
      keyhound('--events', file, '--from', 'monday'),
    ])
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    expect(missing.stderr).toContain('cannot read the events: ')
    expect(missing.stderr).toContain('nowhere.ndjson')
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain('expected a date')
  })
})
