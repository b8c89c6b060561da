import { Command } from 'commander'
import { messageLines } from '../alert/message.ts'
import { noticeMessage } from '../alert/notice.ts'
import { systemClock } from '../clock.ts'
import { readDigestFacts } from '../store/postgres/digest-facts.ts'
import { WEEK_MS } from '../usage/duration.ts'
import { digestNotice } from '../watch/digest.ts'
import { withSession } from './with-session.ts'

/** `keyhound digest`: what happened in the last seven days, as the digest tells it. */
export function digestCommand(): Command {
  return new Command('digest')
    .description('print what happened in the last seven days, as the weekly digest tells it')
    .action(async () => {
      await withSession(async ({ database, revocations, silences }) => {
        const nowMs = systemClock.nowMs()
        const span = { from: new Date(nowMs - WEEK_MS), to: new Date(nowMs) }
        const facts = await readDigestFacts(database, { revocations, silences }, span)
        process.stdout.write(`${messageLines(noticeMessage(digestNotice(facts))).join('\n')}\n`)
      })
    })
}
