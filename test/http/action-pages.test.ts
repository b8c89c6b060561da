import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test, onTestFinished } from 'vitest'
import { ManualClock } from '../../src/clock.ts'
import { readLink, signLink, type ActionLink, type LinkAction } from '../../src/http/pages/action-link.ts'
import { openDatabase, type Database } from '../../src/store/postgres/database.ts'
import { createOperatorStore } from '../../src/store/postgres/operator-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { createSilenceStore } from '../../src/store/postgres/silence-store.ts'
import { DAY_MS } from '../../src/usage/duration.ts'
import fc from '../harness/fast-check.ts'
import { SOME_TIME_MS } from '../harness/builders.ts'
import { testDatabase } from '../harness/database.ts'
import { raiseAlert } from '../notify/outbox.ts'
import { LINK_KEY, startApi, type Answer, type Api } from './api.ts'

let db: Database
let clock: ManualClock
let api: Api
let alertId: string

beforeEach(async () => {
  db = openDatabase(await testDatabase())
  onTestFinished(async () => db.destroy())
  clock = new ManualClock(SOME_TIME_MS)
  api = await startApi({
    clock,
    operators: createOperatorStore(db, clock),
    revocations: createRevocationStore(db),
    silences: createSilenceStore(db),
  })
  alertId = await raise('key-1')
})

async function raise(keyId: string): Promise<string> {
  await raiseAlert(db, { keyId, channels: ['oncall'], nowMs: SOME_TIME_MS })
  const row = await db.selectFrom('alert').select('id').where('key_id', '=', keyId).executeTakeFirstOrThrow()
  return row.id
}

function linkOf(action: LinkAction, given: Partial<ActionLink> = {}): ActionLink {
  const expiresAt = new Date(SOME_TIME_MS + DAY_MS)
  return { action, alertId, channel: 'oncall', expiresAt, revocationId: '', ...given }
}
const pathOf = (action: LinkAction, given: Partial<ActionLink> = {}): string =>
  `/act/${signLink(linkOf(action, given), LINK_KEY)}`

const get = async (path: string, init: RequestInit = {}): Promise<Answer> =>
  api.call(path, { ...init, token: '' })
const post = async (path: string, form: Record<string, string> = {}): Promise<Answer> =>
  api.call(path, { method: 'POST', token: '', body: new URLSearchParams(form) })

/** Everything that an action could change. */
async function whatIs(): Promise<object> {
  const [alerts, silences, revocations, audit] = await Promise.all([
    db.selectFrom('alert').select(['key_id', 'status']).orderBy('key_id').execute(),
    db.selectFrom('silence').select(['matchers', 'alert_id', 'created_by', 'comment', 'ends_at']).execute(),
    db.selectFrom('revocation').select(['key_id', 'state', 'actor', 'reason']).execute(),
    db.selectFrom('audit').select(['actor', 'action']).orderBy('id').execute(),
  ])
  return { alerts, silences, revocations, audit }
}
const UNTOUCHED = {
  alerts: [{ key_id: 'key-1', status: 'firing' }],
  silences: [],
  revocations: [],
  audit: [],
}

describe('the page behind a link', () => {
  test.each(['acknowledge', 'silence', 'revoke', 'approve'] as const)(
    'of %s shows what it would do, and neither GET nor HEAD does it: link previews trigger nothing',
    async (action) => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await get(pathOf(action), {
          method,
          headers: { 'user-agent': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)' },
        })
        expect(answer.status).toBe(200)
      }
      const { text } = await get(pathOf(action))
      expect(text).toContain('<form method="post">')
      expect(text).toContain('key-1')
      expect(text).toContain('Nothing has been done yet')
      expect(await whatIs()).toEqual(UNTOUCHED)
    },
  )

  test('runs no script, loads nothing, goes into no frame and no cache, and gives its address to nobody', async () => {
    const { headers, text } = await get(pathOf('revoke'))
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy.replace(/'sha256-[^']+'/, 'HASH').split('; ')).toEqual([
      "default-src 'none'",
      'style-src HASH',
      "form-action 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
    expect(Object.fromEntries(headers)).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'noindex',
      'content-type': 'text/html; charset=utf-8',
    })
    expect(text).not.toMatch(/<script|src=|href=|style="|\son\w+=/)
    // The one style that the policy lets in is the one that is there.
    const style = /<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? ''
    expect(policy).toContain(`'sha256-${createHash('sha256').update(style).digest('base64')}'`)
    expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">')
  })

  test('shows what an attacker chose as text', async () => {
    alertId = await raise('"><script>alert(1)</script><form action=https://evil.example>')
    const { text } = await get(pathOf('acknowledge'))
    expect(text).toContain('&quot;&gt;&lt;script&gt;')
    expect(text).not.toContain('<script')
    expect(text.match(/<form/g)).toHaveLength(1)
  })

  test('says that there is nothing left to do when the alert is over or somebody was faster', async () => {
    await post(pathOf('acknowledge'))
    expect((await get(pathOf('acknowledge'))).text).toContain('It is acknowledged already')
    await createOperatorStore(db).resolve(alertId, { actor: 'ann', note: undefined, nowMs: SOME_TIME_MS })
    for (const action of ['acknowledge', 'silence'] as const) {
      const { status, text } = await get(pathOf(action))
      expect([status, text.includes('<form')]).toEqual([200, false])
      expect(text).toContain('The alert is over')
    }
  })
})

describe('the form on the page', () => {
  test('acknowledges, in the name of the channel and of whoever gave theirs, once', async () => {
    for (const _twice of [1, 2]) {
      const answer = await post(pathOf('acknowledge'), { name: 'Ann', note: 'looking' })
      expect(answer.status).toBe(200)
    }
    expect(await whatIs()).toEqual({
      ...UNTOUCHED,
      alerts: [{ key_id: 'key-1', status: 'acknowledged' }],
      audit: [{ actor: 'link:oncall (Ann)', action: 'alert.acknowledged' }],
    })
    const { history } = (await createOperatorStore(db).alert(alertId)) ?? { history: [] }
    expect(history.at(-1)).toMatchObject({
      change: 'acknowledged',
      actor: 'link:oncall (Ann)',
      note: 'looking',
    })
  })

  test('silences the key for as long as chosen, but not for longer than allowed, and asks why', async () => {
    const refused = await post(pathOf('silence'), { length: '4h' })
    expect([refused.status, refused.text.includes('Please say why')]).toEqual([400, true])
    await post(pathOf('silence'), { length: '4h', scope: 'key', comment: 'load test' })
    expect(await whatIs()).toMatchObject({
      silences: [
        {
          matchers: { key_id: ['key-1'] },
          alert_id: null,
          created_by: 'link:oncall',
          comment: 'load test',
          ends_at: new Date(SOME_TIME_MS + 4 * 3_600_000),
        },
      ],
    })
  })

  test('silences this alert alone when asked to, and always when the key id would be a pattern', async () => {
    await post(pathOf('silence'), { scope: 'alert', comment: 'known' })
    alertId = await raise('batch-*')
    await post(pathOf('silence'), { scope: 'key', comment: 'known' })
    const silences = await db.selectFrom('silence').select(['matchers', 'alert_id']).execute()
    expect(silences.map(({ matchers }) => matchers)).toEqual([{}, {}])
    expect(silences.every((silence) => silence.alert_id !== null)).toBe(true)
  })

  test('revokes with a reason, once', async () => {
    expect((await post(pathOf('revoke'))).status).toBe(400)
    expect(await whatIs()).toEqual(UNTOUCHED)
    for (const _twice of [1, 2]) expect((await post(pathOf('revoke'), { reason: 'stolen' })).status).toBe(200)
    expect(await whatIs()).toMatchObject({
      revocations: [{ key_id: 'key-1', state: 'pending', actor: 'link:oncall', reason: 'stolen' }],
    })
  })

  test('approves the very proposal of the message, and says so when it does not wait any more', async () => {
    const revocations = createRevocationStore(db)
    const [proposal] = await revocations.decideDue(
      () => ({ kind: 'proposed', reason: 'critical' }),
      SOME_TIME_MS,
    )
    const path = pathOf('approve', { revocationId: proposal?.id ?? '' })
    const first = await post(path, { name: 'Ann' })
    expect([first.status, first.text.includes('The revocation is approved')]).toEqual([200, true])
    expect(await revocations.forKey('key-1', 5)).toMatchObject([
      { state: 'pending', actor: 'link:oncall (Ann)' },
    ])
    const second = await post(path)
    expect([second.status, second.text.includes('does not wait any more')]).toEqual([409, true])
  })

  test('takes forms of no length and of no other kind', async () => {
    const path = pathOf('acknowledge')
    expect((await post(path, { note: 'x'.repeat(1_001) })).status).toBe(400)
    expect((await post(path, { note: 'x'.repeat(20_000) })).status).toBe(413)
    const multipart = new FormData()
    multipart.set('note', 'x')
    expect((await api.call(path, { method: 'POST', token: '', body: multipart })).status).toBe(415)
    expect((await api.call(path, { method: 'DELETE', token: '' })).status).toBe(405)
    expect(await whatIs()).toEqual(UNTOUCHED)
  })
})

describe('a token', () => {
  test('that has expired, is forged, cut off, or signed for something else does nothing', async () => {
    const token = signLink(linkOf('revoke'), LINK_KEY)
    const forged = [
      signLink(linkOf('revoke'), Buffer.alloc(32, 8)),
      token.slice(0, -3),
      token.replace('revoke', 'acknowledge'),
      token.replace('oncall', 'other'),
      token.replace(alertId, '0197f000-0000-7000-8000-000000000001'),
      'x',
      '~'.repeat(8),
      `${token}~`,
    ]
    for (const bad of forged) {
      for (const answer of [await get(`/act/${bad}`), await post(`/act/${bad}`, { reason: 'stolen' })]) {
        expect(answer.status).toBe(404)
        expect(answer.text).not.toContain('key-1')
      }
    }
    clock.advance(DAY_MS)
    const expired = await post(`/act/${token}`, { reason: 'stolen' })
    expect([expired.status, expired.text.includes('This link has expired')]).toEqual([410, true])
    expect(await whatIs()).toEqual(UNTOUCHED)
  })

  test('of an alert that is not there says no more than that', async () => {
    const { status } = await get(pathOf('revoke', { alertId: '0197f000-0000-7000-8000-000000000001' }))
    expect(status).toBe(404)
  })

  test('is valid exactly as it was signed: whatever is changed in it makes it worthless', () => {
    const link = linkOf('silence', { alertId: '0197f000-0000-7000-8000-000000000001' })
    const token = signLink(link, LINK_KEY)
    expect(readLink(token, LINK_KEY, SOME_TIME_MS)).toEqual({ kind: 'valid', link })
    // The last character of the MAC carries two bits that decoding drops.
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: token.length - 2 }),
        fc.constantFrom('a', 'Z', '0', '9', '-', '_', '~', '.'),
        (at, other) => {
          fc.pre(token[at] !== other)
          const changed = token.slice(0, at) + other + token.slice(at + 1)
          expect(readLink(changed, LINK_KEY, SOME_TIME_MS).kind).toBe('invalid')
        },
      ),
    )
  })

  test('stands in the log by its pattern only', async () => {
    await get(pathOf('revoke'))
    expect(api.answered).toContain('/act/:token 200')
    expect(api.answered.join()).not.toContain(alertId)
  })
})
