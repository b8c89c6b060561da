import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Notification } from '../../alert/notification.ts'

/** What a link in a message can do. Each link does one thing about one alert. */
export const LINK_ACTIONS = ['acknowledge', 'silence', 'revoke', 'approve'] as const
export type LinkAction = (typeof LINK_ACTIONS)[number]

/** What the token of a link says. */
export interface ActionLink {
  readonly action: LinkAction
  readonly alertId: string
  /** The channel that the link was sent on: part of who acts. */
  readonly channel: string
  readonly expiresAt: Date
  /** The proposal that `approve` approves; empty otherwise. */
  readonly revocationId: string
}

export type ReadLink =
  | { readonly kind: 'valid'; readonly link: ActionLink }
  | { readonly kind: 'expired'; readonly link: ActionLink }
  | { readonly kind: 'invalid' }

// No field can hold it: actions and ids are fixed, channel names are letters, digits, "_", "-" and ".".
const SEPARATOR = '~'
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const CHANNEL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** The token: what it is for, in the clear, and the HMAC-SHA256 over it. It needs no encoding within a path. */
export function signLink(
  { action, alertId, channel, expiresAt, revocationId }: ActionLink,
  key: Uint8Array,
): string {
  const expiry = Math.floor(expiresAt.getTime() / 1_000).toString(36)
  const claim = [action, alertId, channel, expiry, revocationId].join(SEPARATOR)
  return `${claim}${SEPARATOR}${macOf(claim, key).toString('base64url')}`
}

/** What a token allows, if anything. Compared in constant time; nothing of it is believed before. */
export function readLink(token: string, key: Uint8Array, nowMs: number): ReadLink {
  const end = token.lastIndexOf(SEPARATOR)
  const claim = token.slice(0, Math.max(end, 0))
  const given = Buffer.from(token.slice(end + 1), 'base64url')
  const expected = macOf(claim, key)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { kind: 'invalid' }
  const [action, alertId = '', channel = '', expiry = '', revocationId = ''] = claim.split(SEPARATOR)
  const known = LINK_ACTIONS.find((name) => name === action)
  if (known === undefined || !UUID.test(alertId) || !CHANNEL.test(channel)) return { kind: 'invalid' }
  const expiresAt = new Date(Number.parseInt(expiry, 36) * 1_000)
  const link = { action: known, alertId, channel, expiresAt, revocationId }
  return { kind: expiresAt.getTime() > nowMs ? 'valid' : 'expired', link }
}

function macOf(claim: string, key: Uint8Array): Buffer {
  return createHmac('sha256', key).update(claim).digest()
}

/**
 * The links that a message gets, by what they do: `alert` for programs, and the actions that make sense in the state that
 * it tells. None that act when there is no key to sign them, and none in a test message, which is about no alert.
 */
export function linksFor(
  notification: Notification,
  {
    baseUrl,
    channel,
    key,
    expiresAt,
    canRevoke,
  }: {
    readonly baseUrl: string
    readonly channel: string
    readonly key: Uint8Array | undefined
    readonly expiresAt: Date
    /** False when no way to revoke this key is configured. */
    readonly canRevoke: boolean
  },
): Readonly<Record<string, string>> {
  const { lead, test } = notification
  const base = baseUrl.replace(/\/+$/, '')
  const alert = { alert: `${base}/api/v1/alerts/${encodeURIComponent(lead.id)}` }
  if (key === undefined || test === true || !CHANNEL.test(channel)) return alert
  const links = actionsFor(notification, canRevoke).map(({ action, revocationId }) => {
    const token = signLink({ action, alertId: lead.id, channel, expiresAt, revocationId }, key)
    return [action, `${base}/act/${token}`] as const
  })
  return { ...alert, ...Object.fromEntries(links) }
}

function actionsFor(
  { lead, response }: Notification,
  canRevoke: boolean,
): { readonly action: LinkAction; readonly revocationId: string }[] {
  const plain = (action: LinkAction): { action: LinkAction; revocationId: string } => ({
    action,
    revocationId: '',
  })
  if (lead.status === 'resolved') return []
  const about = [...(lead.status === 'firing' ? [plain('acknowledge')] : []), plain('silence')]
  switch (response.kind) {
    case 'proposed':
      return [...about, { action: 'approve', revocationId: response.revocationId }]
    case 'none':
    case 'would_revoke':
    case 'refused':
    case 'failed':
    case 'restored':
      return canRevoke ? [...about, plain('revoke')] : about
    case 'pending':
    case 'revoked':
    case 'confirmed':
      return about
    default:
      return response satisfies never
  }
}
