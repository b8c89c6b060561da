import type { Notice } from '../alert/notice.ts'
import { attempt } from './attempt.ts'
import type { Channel } from './channel.ts'
import { SEND_TIMEOUT_MS } from './send-timeout.ts'

/** Where a notice arrived, and what went wrong before. */
export type Told =
  | { readonly kind: 'told'; readonly channel: string; readonly receipt: string }
  | { readonly kind: 'nowhere'; readonly errors: Readonly<Record<string, string>> }

/**
 * Tells a notice on the first channel that takes it, in the order given: at least one person hears it, not everybody.
 * Needs neither database nor queue. Each try ends by itself after SEND_TIMEOUT_MS; names that are no channels are passed
 * over. Never throws; no error has a secret.
 */
export async function tellOnOneOf({
  channels,
  order,
  notice,
  signal,
}: {
  readonly channels: ReadonlyMap<string, Channel>
  readonly order: readonly string[]
  readonly notice: Notice
  readonly signal?: AbortSignal
}): Promise<Told> {
  const errors: Record<string, string> = {}
  for (const name of new Set(order)) {
    const channel = channels.get(name)
    if (channel === undefined || signal?.aborted === true) continue
    const timeout = AbortSignal.timeout(SEND_TIMEOUT_MS)
    const limit = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
    const tried = await attempt(() => channel.tell(notice, limit), limit)
    if (tried.kind === 'sent') return { kind: 'told', channel: name, receipt: tried.receipt }
    errors[name] = tried.error.message
  }
  return { kind: 'nowhere', errors }
}
