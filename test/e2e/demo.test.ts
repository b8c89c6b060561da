import { expect, test } from 'vitest'
import { runKeyhound } from './keyhound-process.ts'

test(
  'demo --once catches the thief and says so in one line of JSON, whatever servers the shell names',
  { timeout: 120_000 },
  async () => {
    // The demo must not touch the operator's database: an address where nothing listens proves that it does not try.
    const env = { DATABASE_URL: 'postgres://127.0.0.1:1/production', REDIS_URL: 'redis://127.0.0.1:1' }
    const { code, stdout, stderr } = await runKeyhound(['demo', '--once'], env)

    expect(stderr).toContain('docs-bot-prod')
    expect(stderr).toContain('[DRY RUN]')
    expect(code).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(1)
    const summary = JSON.parse(stdout) as Record<string, number>
    expect(summary['events']).toBeGreaterThan(10_000)
    expect(summary['alerts']).toBeGreaterThanOrEqual(1)
    expect(summary['deliveries']).toBeGreaterThanOrEqual(1)
    expect(summary['seconds_to_first_alert']).toBeGreaterThan(0)
  },
)
