import { Command } from 'commander'
import { messageOf } from '../alert/message.ts'
import { previewMessage } from '../alert/preview.ts'
import { systemClock } from '../clock.ts'
import { apiTokens } from '../daemon/api-tokens.ts'
import { createLog } from '../daemon/log.ts'
import { runDemo, type DemoRun, type DemoStage } from '../demo/demo.ts'
import { STOLEN_KEY_ID } from '../demo/fleet.ts'
import { startProgress } from './progress.ts'

/** `keyhound demo [--once]`: what keyhound does, in less than a minute. */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'learn the history of a small fleet, then catch a thief: real database, real queue, nothing to set up',
    )
    .option('--once', 'end after the alert has been delivered, and print a summary as one JSON line')
    .action(async ({ once = false }: { once?: boolean }) => {
      const ended = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.abort())
      const colour = process.stderr.isTTY && process.env['NO_COLOR'] === undefined
      const demo = await runDemo({
        stage: stageOn(process.stderr, colour),
        clock: systemClock,
        log: createLog('warn'),
      })
      try {
        if (once) process.stdout.write(`${JSON.stringify(demo.summary)}\n`)
        else {
          await sayWhereToLook(demo)
          await demo.continueUntil(ended.signal)
        }
      } finally {
        await demo.stop()
      }
    })
}

/** Everything for people goes to standard error; standard output belongs to data. */
function stageOn(stream: NodeJS.WriteStream, colour: boolean): DemoStage {
  return {
    say: (text) => stream.write(`${text}\n`),
    progress: (label, total) => startProgress(label, total, stream),
    message: ({ delivery }) =>
      stream.write(
        `\nThis is what ${delivery.channel} was sent:\n\n${previewMessage(messageOf(delivery.notification), { colour })}\n\n`,
      ),
  }
}

async function sayWhereToLook({ daemon, summary }: DemoRun): Promise<void> {
  const { file } = await apiTokens(undefined, daemon.session.backends.dataDir)
  const curl = `curl -H "Authorization: Bearer $(cat ${file ?? ''})" ${daemon.url ?? ''}/api/v1`
  process.stderr.write(`Caught ${summary.seconds_to_first_alert} s after the thief's first request.

The thief goes on until you end the demo with Ctrl-C. Meanwhile, in another terminal:

  ${curl}/alerts
  ${curl}/keys/${STOLEN_KEY_ID}
  curl ${daemon.url ?? ''}/metrics

Next: README.md, "Production in five minutes"; alerts.example.yaml shows every setting.

`)
}
