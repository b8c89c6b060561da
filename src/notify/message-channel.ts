import { messageOf, type Message } from '../alert/message.ts'
import { noticeMessage } from '../alert/notice.ts'
import { togetherMessage } from '../alert/together.ts'
import type { Channel, ChannelTools, Sent } from './channel.ts'

/** The sending half of a channel that shows messages to people: `post` gives a worded message the channel's form. */
export function messageChannel(
  { links }: Pick<ChannelTools, 'links'>,
  post: (message: Message, signal: AbortSignal) => Promise<Sent>,
): Required<Pick<Channel, 'send' | 'sendTogether' | 'tell'>> {
  return {
    send: (notification, signal) => post(messageOf(notification, links?.(notification)), signal),
    sendTogether: (notifications, signal) => post(togetherMessage(notifications, links), signal),
    tell: (notice, signal) => post(noticeMessage(notice), signal),
  }
}
