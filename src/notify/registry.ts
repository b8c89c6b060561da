import type { ChannelType } from './channel.ts'
import { emailChannel } from './channels/email.ts'
import { slackChannel } from './channels/slack.ts'
import { webhookChannel } from './channels/webhook.ts'

/** Every kind of channel, in the order of the documentation. */
export const CHANNEL_TYPES: readonly ChannelType[] = [slackChannel, emailChannel, webhookChannel]
