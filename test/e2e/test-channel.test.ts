import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, expect, test } from 'vitest'
import { startHttpSink, type HttpSink } from '../harness/http-sink.ts'
import { runKeyhound } from './keyhound-process.ts'

async function slackAt(): Promise<{ sink: HttpSink; file: string }> {
  const sink = await startHttpSink()
  const folder = await mkdtemp(join(tmpdir(), 'kh-test-channel-'))
  onTestFinished(async () => {
    await sink.close()
    await rm(folder, { recursive: true })
  })
  const file = join(folder, 'alerts.yaml')
  const url = `${sink.url}/services/T00000001/B00000002/abcdefghijklmnop`
  await writeFile(file, `version: 1\nchannels: { oncall: { type: slack, url: "${url}" } }\n`)
  return { sink, file }
}

test(
  'complaint 18: test-channel shows what the other side answered, good or bad, and no secret',
  { timeout: 60_000 },
  async () => {
    const { sink, file } = await slackAt()
    sink.answerNext({ body: 'ok' })
    const good = await runKeyhound(['test-channel', 'oncall', '--config', file], {})
    expect([good.code, good.stdout]).toEqual([0, 'oncall: delivered: answered 200: ok\n'])
    expect(sink.requests[0]?.body).toContain('[TEST]')
    sink.answerNext({ status: 404, body: 'no_service' })
    const bad = await runKeyhound(['test-channel', 'oncall', '--config', file], {})
    expect([bad.code, bad.stdout]).toEqual([1, ''])
    expect(bad.stderr).toContain(
      'Slack answered 404: no_service (the webhook does not work any more: make a new one in Slack',
    )
    expect(bad.stderr).not.toContain('abcdefghijklmnop')
  },
)
