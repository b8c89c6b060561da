import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What arrived at the stand-in: the payload that Slack would have shown. */
export interface SlackMessage {
  readonly text: string
  readonly blocks: readonly unknown[]
}

export interface SlackStandIn {
  readonly url: string
  close(): Promise<void>
}

/**
 * A server on loopback that answers like Slack's incoming webhooks, so that the demo sends its messages through the
 * real channel without an account.
 */
export async function startSlackStandIn(onMessage: (message: SlackMessage) => void): Promise<SlackStandIn> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const payload = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Partial<SlackMessage>
      response.end('ok')
      onMessage({ text: payload.text ?? '', blocks: payload.blocks ?? [] })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/services/T000/B000/demo`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
