import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '../src')

/** Folders from the outside in; a file may import from its own folder and from layers below its own. */
const LAYERS: readonly (readonly string[])[] = [
  ['cli'],
  ['demo'],
  ['daemon', 'backtest'],
  ['config'],
  ['watch'],
  ['http', 'ingest', 'engine', 'notify', 'respond'],
  ['enrich', 'store', 'queue', 'embedded', 'outbound'],
  ['alert'],
  ['detect'],
  ['usage'],
]
/** Files at the top that everybody may import. */
const SHARED = ['clock.ts', 'lazy.ts', 'secret.ts']
const PURE = ['usage', 'detect', 'alert']

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(SOURCE, file), 'utf8') }))

describe('the architecture', () => {
  test('every folder of src has its place in the layers', () => {
    const known = [...LAYERS.flat(), ...SHARED]
    expect(files.map(({ file }) => folderOf(file)).filter((folder) => !known.includes(folder))).toEqual([])
  })

  test('imports point one way: from the outside in', () => {
    const wrong = files.flatMap(({ file, text }) =>
      importsOf(text)
        .filter((path) => path.startsWith('.'))
        .map((path) => relative(SOURCE, normalize(join(SOURCE, dirname(file), path))))
        .filter((target) => !mayImport(folderOf(file), folderOf(target)))
        .map((target) => `${file} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('the core is pure: no driver, no environment, no clock, no waiting', () => {
    // parse-event and secret-key-id use node:net and node:crypto for pure functions.
    const allowed = [
      'node:net',
      'node:crypto',
      'zod',
      'ipaddr.js',
      'ajv',
      'ajv/dist/2020.js',
      'ajv/dist/ajv.js',
    ]
    const wrong = files
      .filter(({ file }) => PURE.includes(folderOf(file)))
      .flatMap(({ file, text }) => [
        ...importsOf(text)
          .filter((path) => !path.startsWith('.') && !allowed.includes(path))
          .map((path) => `${file} imports ${path}`),
        ...[/\bawait\b/, /\bprocess\./, /\bsetTimeout\b/, /\bMath\.random\b/]
          .filter((pattern) => pattern.test(withoutComments(text)))
          .map((pattern) => `${file} uses ${pattern.source}`),
      ])
    expect(wrong).toEqual([])
  })

  test('only clock.ts reads the system clock', () => {
    const wrong = files
      .filter(({ file }) => file !== 'clock.ts')
      .filter(({ text }) => /\bDate\.now\(\)|\bnew Date\(\)/.test(withoutComments(text)))
      .map(({ file }) => file)
    expect(wrong).toEqual([])
  })
})

function folderOf(file: string): string {
  return file.split('/')[0] ?? file
}

function mayImport(from: string, to: string): boolean {
  if (from === to || SHARED.includes(to)) return true
  const layerOf = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder))
  return layerOf(from) < layerOf(to)
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '')
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*$/gm, '')
}
