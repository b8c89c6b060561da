import type { ChannelType } from './channel.ts'
import { discordChannel } from './channels/discord.ts'
import { emailChannel } from './channels/email.ts'
import { pagerDutyChannel } from './channels/pagerduty.ts'
import { slackChannel } from './channels/slack.ts'
import { teamsChannel } from './channels/teams.ts'
import { webhookChannel } from './channels/webhook.ts'

/** Every kind of channel, in the order of the documentation. */
export const CHANNEL_TYPES: readonly ChannelType[] = [
  slackChannel,
  emailChannel,
  pagerDutyChannel,
  teamsChannel,
  discordChannel,
  webhookChannel,
]
