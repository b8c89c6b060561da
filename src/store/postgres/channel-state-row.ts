import type { Selectable } from 'kysely'
import type { ChannelState } from '../channel-state-store.ts'
import type { ChannelStateTable } from './delivery-tables.ts'

/** A row of `channel_state` as the state it holds. */
export function toChannelState(row: Selectable<ChannelStateTable>): ChannelState {
  return {
    channel: row.channel,
    freeAt: row.free_at ?? undefined,
    failingSince: row.failing_since ?? undefined,
    failures: row.failures,
    brokenAt: row.broken_at ?? undefined,
    refused: row.refused,
    lastError: row.last_error ?? undefined,
    toldOn: row.told_on ?? undefined,
    probeAt: row.probe_at ?? undefined,
    lastDeliveredAt: row.last_delivered_at ?? undefined,
  }
}
