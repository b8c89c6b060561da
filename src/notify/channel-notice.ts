import { randomUUID } from 'node:crypto'
import { elapsed, minute } from '../alert/message-values.ts'
import type { Notice } from '../alert/notice.ts'
import type { ChannelState } from '../store/channel-state-store.ts'

/** Told elsewhere: this channel does not work. */
export function brokenNotice(state: ChannelState, nowMs: number): Notice {
  const { channel, refused, lastError = 'unknown', failingSince, brokenAt } = state
  const since = failingSince ?? brokenAt ?? new Date(nowMs)
  return {
    id: randomUUID(),
    type: 'keyhound.problem',
    topic: `channel:${channel}`,
    at: new Date(nowMs),
    severity: 'critical',
    title: `channel ${channel} does not work: alerts do not arrive on it`,
    text: lastError,
    facts: [
      { label: 'Channel', value: channel },
      { label: 'Since', value: minute(since) },
      { label: 'Kind', value: refused ? 'refused for good' : 'every try fails' },
    ],
    advice:
      'What it should have told is told on other channels. keyhound goes on trying and takes the channel back by itself; ' +
      `when you have mended it, try: keyhound test-channel ${channel}`,
  }
}

/** Told on the channel itself, as the probe, and where its break was told: it works again. */
export function worksNotice(state: ChannelState, nowMs: number): Notice {
  const { channel, brokenAt, failingSince, lastError = 'unknown' } = state
  const since = failingSince ?? brokenAt
  const span = since === undefined ? undefined : elapsed(nowMs - since.getTime())
  return {
    id: randomUUID(),
    type: 'keyhound.recovered',
    topic: `channel:${channel}`,
    at: new Date(nowMs),
    severity: 'info',
    title: `channel ${channel} works again`,
    text: `It did not work${since === undefined ? '' : ` since ${minute(since)}`}${span === undefined ? '' : ` (${span})`}: ${lastError}`,
    facts: [{ label: 'Channel', value: channel }],
    advice: 'What it missed about incidents that are still open follows now.',
  }
}
