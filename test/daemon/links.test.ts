import { onTestFinished, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { parseConfig } from '../../src/config/load.ts'
import { LiveConfig } from '../../src/daemon/live-config.ts'
import { readLink } from '../../src/http/pages/action-link.ts'
import type { Notification } from '../../src/alert/notification.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { linkKey } from '../../src/store/postgres/link-key.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { startHttpSink } from '../harness/http-sink.ts'
import { alertOf } from '../alert/alerts.ts'
import { notificationOf, RESPONSE_OF } from '../notify/notifications.ts'

const KEY = Buffer.alloc(32, 5)
const BASE = 'https://keyhound.example.com/base'

/** The links, by name, of a message that a webhook gets. */
async function linksIn(
  given: Partial<Notification>,
  { extra = '', unsigned = false }: { extra?: string; unsigned?: boolean } = {},
): Promise<Record<string, string>> {
  const sink = await startHttpSink()
  const text = `version: 1
channels: { siem: { type: webhook, url: "${sink.url}", secret: "0123456789abcdef01234567" } }
revoke: { action: { type: webhook, url: "${sink.url}", secret: "0123456789abcdef01234567" } }
${extra}
`
  const config = parseConfig(text, 'alerts.yaml', {})
  const live = new LiveConfig(config, new ManualClock(SOME_TIME_MS), unsigned ? {} : { linkKey: KEY })
  onTestFinished(async () => {
    await live.close()
    await sink.close()
  })
  await live.channels.get('siem')?.send(notificationOf(given), AbortSignal.timeout(10_000))
  const body = JSON.parse(sink.requests[0]?.body ?? '') as {
    data: { alert: { links: Record<string, string> } }
  }
  return body.data.alert.links
}
const WITH_LINKS = { extra: `links: { base_url: "${BASE}/" }` }

describe('the links of a message', () => {
  test('are those that fit the state of the alert and of the key', async () => {
    const namesFor = async (given: Partial<Notification>): Promise<string[]> =>
      Object.keys(await linksIn(given, WITH_LINKS))
    expect(await namesFor({})).toEqual(['alert', 'acknowledge', 'silence', 'revoke'])
    expect(await namesFor({ lead: alertOf({ status: 'acknowledged' }) })).toEqual([
      'alert',
      'silence',
      'revoke',
    ])
    expect(await namesFor({ response: RESPONSE_OF['key.revocation_proposed'] })).toEqual([
      'alert',
      'acknowledge',
      'silence',
      'approve',
    ])
    expect(await namesFor({ response: RESPONSE_OF['key.revoked'] })).toEqual([
      'alert',
      'acknowledge',
      'silence',
    ])
    expect(await namesFor({ type: 'alert.resolved', lead: alertOf({ status: 'resolved' }) })).toEqual([
      'alert',
    ])
    // A test message is about no alert.
    expect(await namesFor({ test: true })).toEqual(['alert'])
  })

  test('lead to our own pages, are signed for the channel that gets them, and expire', async () => {
    const { revoke = '' } = await linksIn({}, { extra: `links: { base_url: "${BASE}/", expire_after: 1d }` })
    expect(revoke.startsWith(`${BASE}/act/`)).toBe(true)
    const read = readLink(revoke.slice(`${BASE}/act/`.length), KEY, SOME_TIME_MS)
    expect(read).toEqual({
      kind: 'valid',
      link: {
        action: 'revoke',
        alertId: alertOf().id,
        channel: 'siem',
        expiresAt: new Date(SOME_TIME_MS + DAY_MS),
        revocationId: '',
      },
    })
  })

  test('are left out when no address is set, and those that act when nobody can check them', async () => {
    expect(await linksIn({})).toEqual({})
    expect(Object.keys(await linksIn({}, { ...WITH_LINKS, unsigned: true }))).toEqual(['alert'])
  })

  test('are signed with a key that every replica derives from the database, and that is not the secret itself', async () => {
    const url = await testDatabase()
    const [one, other] = [openDatabase(url), openDatabase(url)]
    const keys = await Promise.all([linkKey(one), linkKey(other)])
    expect(keys[0]).toEqual(keys[1])
    expect(keys[0]).toHaveLength(32)
    const stored = await one.selectFrom('setting').select('value').where('name', '=', 'link_secret').execute()
    expect(stored).toHaveLength(1)
    expect(Buffer.from(keys[0]).toString('base64')).not.toBe(stored[0]?.value)
    await Promise.all([one.destroy(), other.destroy()])
  })
})
