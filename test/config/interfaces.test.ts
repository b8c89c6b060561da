import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'

test('the configuration of docs/interfaces.md loads word for word', () => {
  const page = readFileSync(new URL('../../docs/interfaces.md', import.meta.url), 'utf8')
  const yaml = /```yaml\n(version: 1[\s\S]*?)```/.exec(page)?.[1] ?? ''
  const config = parseConfig(yaml, 'docs/interfaces.md', {
    SLACK_WEBHOOK_URL: 'https://hooks.slack.com/services/T0/B0/x',
    SMTP_URL: 'smtp://mail.example.com:587',
    WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    REVOKE_SECRET: `whsec_${Buffer.alloc(32, 2).toString('base64')}`,
  })

  expect([...config.channels.keys()]).toEqual(['oncall', 'security', 'siem'])
  expect(config.notify).toMatchObject({
    groupWaitMs: 5_000,
    repeatIntervalMs: 14_400_000,
    resolveAfterMs: 1_800_000,
  })
  expect(config.detectors.get('spend_threshold')).toMatchObject({ limits: [{ window: 86_400_000, usd: 10 }] })
  expect(config.revoke).toMatchObject({ mode: 'dry_run', protect: ['prod-core-*'], max_per_hour: 5 })
})
