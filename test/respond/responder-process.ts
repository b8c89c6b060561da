import { pino } from 'pino'
import { ManualClock } from '../../src/clock.ts'
import { outboundFetch } from '../../src/outbound/outbound-fetch.ts'
import { revokePolicySettings } from '../../src/respond/policy-settings.ts'
import { startResponding } from '../../src/respond/respond.ts'
import { startWatching } from '../../src/respond/watch.ts'
import { webhookRevoker } from '../../src/respond/revokers/webhook.ts'
import { openDatabase } from '../../src/store/postgres/database.ts'
import { createEngineStore } from '../../src/store/postgres/engine-store.ts'
import { createRevocationStore } from '../../src/store/postgres/revocation-store.ts'
import { planAt } from '../store/decisions.ts'

// A daemon's responder and watch in a process of its own, to be killed: database, gateway and the time are arguments.
const [databaseUrl = '', gatewayUrl = '', nowMs = '0'] = process.argv.slice(2)
const clock = new ManualClock(Number(nowMs))
const db = openDatabase(databaseUrl, { connectionsMax: 4 })
const revocations = createRevocationStore(db)
const settings = revokePolicySettings.parse({
  mode: 'auto',
  min_history: '0s',
  min_key_age: '0s',
  max_share: 1,
  max_per_hour: 100,
  halt_when: { keys_firing: 100 },
})
const revoker = webhookRevoker.open(
  webhookRevoker.schema.parse({
    type: 'webhook',
    url: gatewayUrl,
    secret: 'a secret of more than 24 bytes',
  }),
  {
    fetch: outboundFetch({ allowPrivate: ['127.0.0.0/8'] }),
    nowMs: () => clock.nowMs(),
    queue: () => {
      throw new Error('no queue here')
    },
  },
)
const log = pino({ level: 'silent' })
startResponding({ revocations, revoker: () => revoker, settings: () => settings, clock, log })
startWatching({
  revocations,
  settings: () => settings,
  clock,
  log,
  raise: async (finding, key) => {
    const decisions = { nowMs: clock.nowMs(), findings: [{ finding, key, groupKey: 'again' }], resolved: [] }
    await createEngineStore(db).commit(decisions, planAt(clock.nowMs()))
  },
})
