import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, ROOT), 'utf8')

interface Instruction {
  readonly name: string
  readonly rest: string
}

/** The instructions in order; lines that end in a backslash go on in the next one. */
const instructions: readonly Instruction[] = read('Dockerfile')
  .replace(/^\s*#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.split(/\s/)[0] ?? '', rest: line.replace(/^\S+\s+/, '') }))
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
const of = (name: string, among = instructions) =>
  among.filter((each) => each.name === name).map(({ rest }) => rest)

describe('the Dockerfile', () => {
  test('builds on the Node that keyhound needs', () => {
    const major = Number(
      /\d+/.exec((JSON.parse(read('package.json')) as { engines: { node: string } }).engines.node)?.[0],
    )
    expect(of('FROM').map((from) => from.split(' ')[0])).toEqual(Array(3).fill(`node:${major}-slim`))
  })

  test('copies only what the clone has and .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const sources = of('COPY')
      .filter((rest) => !rest.startsWith('--from='))
      .flatMap((rest) => rest.split(' ').slice(0, -1))
    expect(sources.length).toBeGreaterThan(5)
    for (const source of sources) {
      const name = source.replace(/^\.\//, '')
      expect({ name, exists: existsSync(new URL(name, ROOT)), allowed: allowed.includes(name) }).toEqual({
        name,
        exists: true,
        allowed: true,
      })
    }
  })

  test('copies out of a stage only what that stage makes', () => {
    const stages = of('FROM').map((from) => / AS (\w+)/.exec(from)?.[1])
    const copies = of('COPY', lastStage).filter((rest) => rest.startsWith('--from='))
    expect(
      copies.map((rest) => /--from=(\w+)/.exec(rest)?.[1]).filter((stage) => !stages.includes(stage)),
    ).toEqual([])
    const { outDir } = (JSON.parse(read('tsconfig.build.json')) as { compilerOptions: { outDir: string } })
      .compilerOptions
    expect(copies.map((rest) => rest.split(' ')[1])).toEqual(['/app/node_modules', `/app/${outDir}`])
  })

  test('ships no development packages and runs no install scripts', () => {
    const installs = of('RUN').filter((rest) => rest.includes('npm ci'))
    expect(installs).toHaveLength(2)
    for (const install of installs) expect(install).toContain('--ignore-scripts')
    expect(installs.at(-1)).toContain('npm ci --omit=dev --omit=optional --ignore-scripts')
  })

  test('everything keyhound reads beside its program is in the image', () => {
    const copied = of('COPY', lastStage).flatMap((rest) => rest.split(' '))
    for (const name of ['./bin', './sql', 'package.json', 'NOTICE']) expect(copied).toContain(name)
  })

  test('runs as a user without rights, in a directory of state that is his', () => {
    expect(of('USER', lastStage)).toEqual(['10001:10001'])
    expect(of('RUN', lastStage)).toEqual([
      expect.stringMatching(/^install -d -o 10001 -g 10001 -m 0700 \/var\/lib\/keyhound$/),
    ])
    expect(of('ENV', lastStage).join(' ')).toContain('KEYHOUND_DATA_DIR=/var/lib/keyhound')
  })

  test('starts a command that keyhound has, through a file that is there', () => {
    const [program, launcher = ''] = JSON.parse(of('ENTRYPOINT')[0] ?? '[]') as string[]
    const [command = ''] = JSON.parse(of('CMD')[0] ?? '[]') as string[]
    expect([program, launcher]).toEqual(['node', '/app/bin/keyhound.cjs'])
    const local = fileURLToPath(new URL(launcher.replace('/app/', ''), ROOT))
    const help = spawnSync(process.execPath, [local, command, '--help'], { encoding: 'utf8' })
    expect(help.stdout).toContain(`Usage: keyhound ${command} `)
  })
})

describe('the licences', () => {
  test('LICENSE is the Apache License 2.0 that package.json names', () => {
    expect((JSON.parse(read('package.json')) as { license: string }).license).toBe('Apache-2.0')
    expect(read('LICENSE')).toMatch(
      /Apache License\s+Version 2\.0, January 2004[\s\S]*END OF TERMS AND CONDITIONS/,
    )
  })

  test('NOTICE has the words that MaxMind asks for', () => {
    expect(read('NOTICE')).toContain(
      'This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com',
    )
  })
})
