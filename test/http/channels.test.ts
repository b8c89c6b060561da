import { onTestFinished, describe, expect, test } from 'vitest'
import { channelTable } from '../../src/cli/channels.ts'
import { ManualClock } from '../../src/clock.ts'
import type { ChannelReport } from '../../src/store/channel-report.ts'
import { createChannelStateStore } from '../../src/store/postgres/channel-state-store.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { MINUTE_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { raiseAlert } from '../notify/outbox.ts'
import { startApi, type Api } from './api.ts'

const CHANNELS = ['oncall', 'mail', 'siem', 'pager'].map((name) => ({ name, type: 'slack' }))

/** oncall was refused, mail fails, siem works, pager was never used. */
async function fourChannels(): Promise<{ db: Database; api: Api }> {
  const db = openDatabase(await testDatabase())
  onTestFinished(async () => db.destroy())
  const states = createChannelStateStore(db)
  const failure = {
    nowMs: SOME_TIME_MS,
    brokenAfterMs: 10 * MINUTE_MS,
    probeAtMs: SOME_TIME_MS + 30_000,
  }
  await states.failed('oncall', { ...failure, error: 'Slack answered 404: no_service', refused: true })
  await states.failed('mail', { ...failure, error: 'the mail server answered 451', refused: false })
  await states.worked('siem', SOME_TIME_MS)
  await states.pause('siem', SOME_TIME_MS + MINUTE_MS)
  await raiseAlert(db, { keyId: 'key-1', channels: ['oncall', 'siem'], nowMs: SOME_TIME_MS })
  const api = await startApi({
    clock: new ManualClock(SOME_TIME_MS),
    operators: createOperatorStore(db),
    channels: () => CHANNELS,
    channelStates: states,
  })
  return { db, api }
}

describe('GET /channels', () => {
  test('complaint 16: tells of every channel whether it works, since when not and why', async () => {
    const { api } = await fourChannels()
    const { status, json } = await api.call('/api/v1/channels')
    const at = new Date(SOME_TIME_MS).toISOString()
    expect(status).toBe(200)
    expect(json['channels']).toMatchObject([
      {
        name: 'oncall',
        type: 'slack',
        state: 'broken',
        since: at,
        refused: true,
        last_error: 'Slack answered 404: no_service',
        failures: 1,
        next_probe_at: new Date(SOME_TIME_MS + 30_000).toISOString(),
        waiting: 1,
        oldest_waiting_at: at,
      },
      {
        name: 'mail',
        state: 'failing',
        since: at,
        refused: false,
        last_error: 'the mail server answered 451',
      },
      {
        name: 'siem',
        state: 'working',
        since: null,
        last_error: null,
        last_delivered_at: at,
        paused_until: new Date(SOME_TIME_MS + MINUTE_MS).toISOString(),
      },
      { name: 'pager', state: 'unused', waiting: 0, oldest_waiting_at: null },
    ])
  })

  test('asks for a token', async () => {
    const { api } = await fourChannels()
    expect((await api.call('/api/v1/channels', { token: '' })).status).toBe(401)
  })

  test('an alert shows which of its channels is broken', async () => {
    const { api, db } = await fourChannels()
    const { id } = await db.selectFrom('alert').select('id').executeTakeFirstOrThrow()
    const { json } = await api.call(`/api/v1/alerts/${id}`)
    expect(json['deliveries']).toMatchObject([
      { channel: 'oncall', channel_broken_since: new Date(SOME_TIME_MS).toISOString() },
      { channel: 'siem', channel_broken_since: null },
    ])
  })

  test('keyhound channels list shows the same as a table, whatever the other side has answered', async () => {
    const { api } = await fourChannels()
    const { json } = await api.call('/api/v1/channels')
    const [oncall, ...rest] = json['channels'] as ChannelReport[]
    if (oncall === undefined) throw new Error('no channels')
    const hostile = { ...oncall, last_error: 'no\u001B[2J\n_service', told_on: 'mail' }
    expect(channelTable([hostile, ...rest], SOME_TIME_MS + 5 * MINUTE_MS).split('\n')).toEqual([
      'oncall  slack  broken   1 waiting, nothing delivered yet',
      '        since 2026-03-04 12:00 UTC: no [2J _service; told on mail; next probe 2026-03-04 12:00 UTC',
      'mail    slack  failing  0 waiting, nothing delivered yet',
      '        since 2026-03-04 12:00 UTC: the mail server answered 451',
      'siem    slack  working  1 waiting, last delivered 5 min ago',
      'pager   slack  unused   0 waiting, nothing delivered yet',
      '',
    ])
  })
})
