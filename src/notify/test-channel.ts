import { randomUUID } from 'node:crypto'
import type { Notification } from '../alert/notification.ts'
import type { Clock } from '../clock.ts'
import { HOUR_MS, MINUTE_MS } from '../usage/duration.ts'
import { NANO_USD_PER_USD } from '../usage/event.ts'
import type { Channel } from './channel.ts'
import { SEND_TIMEOUT_MS } from './send-timeout.ts'

/**
 * Sends a sample alert, marked as a test, through a channel. Resolves with what the other side answered; throws
 * DeliveryError.
 */
export async function testChannel(channel: Channel, clock: Clock): Promise<{ readonly receipt: string }> {
  return channel.send(sampleNotification(randomUUID(), clock.nowMs()), AbortSignal.timeout(SEND_TIMEOUT_MS))
}

/** An alert as a stolen key would raise it, about a key that does not exist. */
export function sampleNotification(id: string, nowMs: number): Notification {
  const openedAt = new Date(nowMs - MINUTE_MS)
  return {
    id,
    type: 'alert.opened',
    at: new Date(nowMs),
    lead: {
      id,
      incidentId: id,
      detector: 'unusual_geo',
      keyId: 'sample-key',
      scope: '',
      severity: 'critical',
      status: 'firing',
      openedAt,
      lastSeenAt: new Date(nowMs),
      resolvedAt: undefined,
      occurrences: 1,
      summary: 'sample-key was used from RO for the first time (32 days of history: US, CA)',
      evidence: {
        metric: 'country',
        observed: { RO: 352 },
        expected: { US: 0.8, CA: 0.2 },
        window: { start: new Date(nowMs - HOUR_MS).toISOString(), end: new Date(nowMs).toISOString() },
        history: { days: 32, events: 41_250 },
        setting: 'detectors.unusual_geo.min_history: 3d',
      },
    },
    others: [],
    key: { keyId: 'sample-key', teamId: 'sample-team', environment: 'test' },
    traffic: {
      since: new Date(nowMs - 11 * MINUTE_MS),
      requests: 352,
      costNanoUsd: 41 * NANO_USD_PER_USD,
      costNanoUsdPerHour: 223 * NANO_USD_PER_USD,
      // An address of the documentation range (RFC 5737): nobody's.
      topAddress: { value: '203.0.113.7', share: 0.98 },
      topCountry: { value: 'RO', share: 0.98 },
      topModel: { value: 'gpt-5', share: 0.97 },
    },
    response: { kind: 'none' },
    test: true,
  }
}
