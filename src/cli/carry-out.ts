import { systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { LiveConfig } from '../daemon/live-config.ts'
import { createLog } from '../daemon/log.ts'
import type { Session } from '../daemon/session.ts'
import { startActing } from '../respond/respond.ts'
import type { Revocation } from '../store/revocation-store.ts'
import { SECOND_MS } from '../usage/duration.ts'

const WAIT_FOR_GATEWAY_MS = 60 * SECOND_MS
const LOOK_EVERY_MS = 100

/**
 * Calls the gateway for a wish, unless a daemon is faster: the claim in the database lets only one of them do it. Resolves
 * with the revocation as it is when the call has ended, or after a minute.
 */
export async function carryOut(session: Session, config: Config, asked: Revocation): Promise<Revocation> {
  const live = new LiveConfig(config, systemClock, {
    queue: (name) => session.backends.queues.queue(name),
  })
  const acting = startActing({
    revocations: session.revocations,
    revoker: (key) => live.revokerFor(key),
    settings: () => config.revoke,
    clock: systemClock,
    log: createLog('silent'),
  })
  try {
    const deadlineMs = systemClock.nowMs() + WAIT_FOR_GATEWAY_MS
    for (;;) {
      const now =
        (await session.revocations.forKey(asked.keyId, 10)).find(({ id }) => id === asked.id) ?? asked
      if (now.state !== 'pending' && now.state !== 'restoring') return now
      if (systemClock.nowMs() > deadlineMs) return now
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  } finally {
    await acting.stop()
    await live.close()
  }
}
