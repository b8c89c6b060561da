import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { Secret } from '../../src/secret.ts'

const SLACK = 'https://hooks.slack.com/services/T0/B0/hunter2'
const ONE_CHANNEL = `version: 1\nchannels: { oncall: { type: slack, url: "${SLACK}" } }\n`

let folder: string
const startedIn = process.cwd()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kh-config-'))
})
afterAll(async () => {
  process.chdir(startedIn)
  await rm(folder, { recursive: true })
})

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, content)
  return file
}

const parse = (text: string, env = {}): Config => parseConfig(text, 'alerts.yaml', env)
const warningsOf = (text: string): string[] => parse(text).warnings.map(formatProblem)

describe('which file is read', () => {
  test('--config before KEYHOUND_CONFIG before ./alerts.yaml before the defaults', async () => {
    const named = await fileOf('named.yaml', 'version: 1\nschedule: { shards: 11 }\n')
    const fromEnv = await fileOf('env.yaml', 'version: 1\nschedule: { shards: 12 }\n')
    const env = { KEYHOUND_CONFIG: fromEnv }
    const here = join(folder, 'here')
    await mkdir(here)
    process.chdir(here)
    const shards = async (file: string | undefined, variables: typeof env | object): Promise<number> =>
      (await loadConfig(file, { ...variables })).schedule.shards

    expect(await shards(undefined, {})).toBe(4)
    await writeFile('alerts.yaml', 'version: 1\nschedule: { shards: 13 }\n')
    expect(await shards(undefined, {})).toBe(13)
    expect(await shards(undefined, { KEYHOUND_CONFIG: '' })).toBe(13)
    expect(await shards(undefined, env)).toBe(12)
    expect(await shards(named, env)).toBe(11)
    await rm('alerts.yaml')
  })

  test('without any file the defaults apply, and a warning says that nobody is told', async () => {
    process.chdir(folder)
    const config = await loadConfig(undefined, {})
    expect(config.file).toBeUndefined()
    expect(config.channels.size).toBe(0)
    expect(config.revoke.mode).toBe('dry_run')
    expect(config.warnings.map(formatProblem)).toEqual([
      expect.stringContaining('no configuration file: the defaults apply and alerts go to no channel'),
    ])
  })

  test.each([
    ['is missing', 'missing.yaml', 'there is no such file; check --config or KEYHOUND_CONFIG'],
    ['is a directory', '.', 'it is a directory; name the file in it'],
    ['lies below a file', 'file.yaml/alerts.yaml', 'part of its path is not a directory'],
    ['is binary', 'binary.yaml', 'is not a text in UTF-8'],
    ['holds a NUL', 'nul.yaml', 'is not a text in UTF-8'],
    ['is huge', 'huge.yaml', 'is larger than 1 MiB; this is no configuration of keyhound'],
  ])('a file that %s is refused with the reason', async (_what, name, reason) => {
    await fileOf('file.yaml', 'version: 1\n')
    await fileOf('binary.yaml', new Uint8Array([0x76, 0xff, 0xfe, 0x80]))
    await fileOf('nul.yaml', 'version: 1\0\n')
    await fileOf('huge.yaml', `# ${'x'.repeat(1_024 * 1_024)}\nversion: 1\n`)
    const file = join(folder, name)
    await expect(loadConfig(file, {})).rejects.toThrow(`${file}:1:1: the configuration `)
    await expect(loadConfig(file, {})).rejects.toThrow(reason)
  })

  test('a byte order mark and Windows line ends do no harm', async () => {
    const file = await fileOf('windows.yaml', '\ufeffversion: 1\r\nschedule: { shards: 9 }\r\n')
    expect((await loadConfig(file, {})).schedule.shards).toBe(9)
  })
})

describe('what a file means', () => {
  test('version: 1 alone is every default', () => {
    const config = parse('version: 1\n')
    expect(config).toMatchObject({
      routes: [{ channels: [] }],
      notify: {
        groupBy: ['key_id'],
        groupWaitMs: 5_000,
        repeatIntervalMs: 14_400_000,
        resolveAfterMs: 1_800_000,
      },
      revoke: { mode: 'dry_run', when: { severity: 'critical' }, protect: [], max_per_hour: 5 },
      revokeAction: undefined,
      schedule: { tickMs: 10_000, shards: 4 },
      retention: { eventsMs: 35 * 86_400_000, rollupsMs: 100 * 86_400_000, rejectedMs: 14 * 86_400_000 },
      network: { allowPrivate: [] },
      links: { baseUrl: undefined, expireAfterMs: 3 * 86_400_000 },
    })
    const off = [...config.detectors].filter(([, { enabled }]) => !enabled).map(([name]) => name)
    expect(off).toEqual(['key_age'])
  })

  test('without routes every alert goes to every channel', () => {
    const text = `version: 1\nchannels:\n  a: { type: slack, url: "${SLACK}" }\n  b: { type: slack, url: "${SLACK}" }\n`
    expect(parse(text).routes).toEqual([{ channels: ['a', 'b'] }])
  })

  test('a matcher takes one value or a list', () => {
    const text = `${ONE_CHANNEL}routes:\n  - match: { severity: critical, key_id: ["a-*", b], team_id: t }\n    channels: [oncall]\n  - channels: [oncall]\n`
    expect(parse(text).routes[0]?.match).toEqual({
      severity: ['critical'],
      key_id: ['a-*', 'b'],
      team_id: ['t'],
    })
  })

  test('a section of which every line is a comment is left out', () => {
    const text =
      'version: 1\nchannels:\n  # oncall: ...\nroutes:\nnotify:\ndetectors:\noverrides:\nrevoke:\nlinks:\n'
    const config = parse(text)
    expect(config).toEqual({ ...parse('version: 1\n'), digest: config.digest, warnings: config.warnings })
  })

  test('anchors and aliases work, and an error inside names the place where it is written', () => {
    const text = (limit: string): string =>
      `version: 1\noverrides:\n  - match: { key_id: a }\n    detectors: &strict\n      spend_threshold: { limits: [{ window: 1d, usd: ${limit} }] }\n  - match: { key_id: b }\n    detectors: *strict\n`
    expect(parse(text('5')).overrides.map(({ detectors }) => detectors.get('spend_threshold'))).toEqual([
      { limits: [expect.objectContaining({ window: 86_400_000, usd: 5 })] },
      { limits: [expect.objectContaining({ window: 86_400_000, usd: 5 })] },
    ])
    expect(() => parse(text('-5'))).toThrow(
      'alerts.yaml:5:54: overrides[1].detectors.spend_threshold.limits[0].usd',
    )
  })

  test('addresses and secrets of channels are secrets and show nowhere', () => {
    const text = `${ONE_CHANNEL}revoke: { action: { type: webhook, url: "https://gw.example.com/hunter2", secret: hunter2hunter2hunter2hunter2 } }\n`
    const config = parse(text)
    expect(config.channels.get('oncall')?.['url']).toBeInstanceOf(Secret)
    expect(inspect(config, { depth: 9 })).not.toContain('hunter2')
    expect(JSON.stringify([...config.channels, config.revokeAction])).not.toContain('hunter2')
  })
})

describe('warnings', () => {
  test('a complete and sensible file has none', () => {
    expect(warningsOf(ONE_CHANNEL)).toEqual([])
  })

  test.each([
    [
      'no channel',
      'version: 1\n',
      '1:1: channels: no channel is defined: alerts are stored and logged, and nobody is told',
    ],
    [
      'a channel that no route uses',
      `${ONE_CHANNEL}routes:\n  - channels: []\n`,
      '2:13: channels.oncall: no route uses this channel',
    ],
    [
      'a route to nobody',
      `${ONE_CHANNEL}routes:\n  - channels: []\n`,
      '4:15: routes[0].channels: alerts of this route go to nobody',
    ],
    [
      'critical alerts that go to Teams alone, which may lose them',
      'version: 1\nchannels:\n  team: { type: teams, url: https://example.com/w }\n',
      '3:3: channels: Teams takes messages without saying whether they were posted: give critical alerts another channel as well',
    ],
    [
      'a route that takes critical alerts to Teams alone',
      `version: 1\nchannels:\n  oncall: { type: slack, url: "${SLACK}" }\n  team: { type: teams, url: https://example.com/w }\nroutes:\n  - match: { severity: critical }\n    channels: [team]\n  - channels: [oncall]\n`,
      '7:15: routes[0].channels: Teams takes messages without saying',
    ],
    [
      'a route that is never reached',
      `${ONE_CHANNEL}routes:\n  - channels: [oncall]\n  - match: { severity: critical }\n    channels: [oncall]\n`,
      '5:5: routes[1]: never reached: routes[0] takes every alert',
    ],
    [
      'alerts that match no route',
      `${ONE_CHANNEL}routes:\n  - match: { severity: critical }\n    channels: [oncall]\n`,
      '4:3: routes: alerts that match no route go to nobody',
    ],
    [
      'an override for all keys',
      `${ONE_CHANNEL}overrides:\n  - match: {}\n    detectors: { unusual_geo: { enabled: false } }\n`,
      '4:12: overrides[0].match: matches every key',
    ],
    [
      'an override of nothing',
      `${ONE_CHANNEL}overrides:\n  - match: { key_id: a }\n    detectors: { unusual_geo: {} }\n`,
      '5:16: overrides[0].detectors: changes nothing',
    ],
    [
      'auto without protected keys',
      `${ONE_CHANNEL}revoke: { mode: auto, action: { type: webhook, url: "https://gw.example.com/", secret: aaaaaaaaaaaaaaaaaaaaaaaaa } }\n`,
      '3:17: revoke.mode: keys are revoked without asking',
    ],
    [
      'auto that trusts places only',
      `${ONE_CHANNEL}revoke: { mode: auto, protect: [a], when: { detectors: [unusual_geo] }, action: { type: queue } }\n`,
      '3:56: revoke.when.detectors: names detectors of places only',
    ],
    [
      'auto that deletes keys',
      `${ONE_CHANNEL}revoke: { mode: auto, protect: [a], action: { type: openai, do: delete, irreversible: true, project: p, admin_key: x } }\n`,
      '3:65: revoke.action.do: keys are deleted without asking',
    ],
    [
      'auto that protects everything',
      `${ONE_CHANNEL}revoke: { mode: auto, protect: ["*"], action: { type: webhook, url: "https://gw.example.com/", secret: aaaaaaaaaaaaaaaaaaaaaaaaa } }\n`,
      '3:32: revoke.protect: protects every key: none is ever revoked',
    ],
    [
      'auto with a cap of none',
      `${ONE_CHANNEL}revoke: { mode: auto, max_per_hour: 0, protect: [a], action: { type: webhook, url: "https://gw.example.com/", secret: aaaaaaaaaaaaaaaaaaaaaaaaa } }\n`,
      '3:37: revoke.max_per_hour: is 0: no key is ever revoked',
    ],
    [
      'a limit that never fires first',
      `${ONE_CHANNEL}detectors: { spend_threshold: { limits: [{ window: 1d, usd: 10 }, { window: 7d, usd: 10 }] } }\n`,
      '3:42: detectors.spend_threshold.limits[0]: never the first to fire: the limit of 10 USD in 7d',
    ],
    [
      'a limit of a day beside a lower one of the month',
      `${ONE_CHANNEL}detectors: { spend_threshold: { limits: [{ period: day, usd: 20 }, { period: month, usd: 10 }] } }\n`,
      '3:42: detectors.spend_threshold.limits[0]: never the first to fire: the limit of 10 USD in a month',
    ],
    [
      'a guard that lets all through',
      `${ONE_CHANNEL}network: { allow_private: [0.0.0.0/0] }\n`,
      '3:28: network.allow_private[0]: allows every address',
    ],
    [
      'sums that go first',
      `${ONE_CHANNEL}retention: { rollups: 3d }\n`,
      '3:23: retention.rollups: is shorter than retention.events',
    ],
  ])('%s is one', (_name, text, warning) => {
    expect(warningsOf(text)).toContainEqual(expect.stringContaining(`alerts.yaml:${warning}`))
  })
})
