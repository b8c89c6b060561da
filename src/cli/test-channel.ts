import { Command } from 'commander'
import { plainText } from '../alert/plain-text.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import { LiveConfig } from '../daemon/live-config.ts'
import { testChannel } from '../notify/test-channel.ts'

const ANSWER_CHARACTERS = 500

/** `keyhound test-channel NAME`: sends a sample alert through one channel and reports what the other side answered. */
export function testChannelCommand(): Command {
  return new Command('test-channel')
    .description('send a sample alert through one channel and report what the other side answered')
    .argument('<name>', 'the channel, as it is called in the configuration')
    .option('--config <file>', 'the configuration (default: $KEYHOUND_CONFIG, else ./alerts.yaml)')
    .action(async (name: string, options: { config?: string }) => {
      const config = await loadConfig(options.config, process.env)
      const live = new LiveConfig(config, systemClock)
      try {
        const channel = live.channels.get(name)
        if (channel === undefined) {
          const names = [...live.channels.keys()]
          throw new Error(
            `no channel "${plainText(name, 100)}" in ${config.file ?? 'the configuration (there is no file)'}; ` +
              (names.length === 0
                ? 'none is defined yet; alerts.example.yaml shows them all'
                : `defined: ${names.join(', ')}`),
          )
        }
        const { receipt } = await testChannel(channel, systemClock)
        process.stdout.write(`${name}: delivered: ${plainText(receipt, ANSWER_CHARACTERS)}\n`)
      } finally {
        await live.close()
      }
    })
}
