/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-argument, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-return, typescript/restrict-template-expressions -- plain JavaScript: npm runs it on whatever Node is installed */
// Puts the program and the packages it uses into a few files, dist/bundle: loading 1,500 modules one by one takes longer
// than all the rest of a start. The launcher runs it; in a checkout only while it was made from exactly these sources.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'dist', 'bundle')
/** Installed packages are part of the program: npm writes this file whenever it changes them. */
const INSTALLED = 'node_modules/.package-lock.json'

const { rolldown } = await import('rolldown').catch((error) => {
  // After an installation without development packages keyhound runs as it is, only slower to start.
  if (!process.argv.includes('--if-possible')) throw error
  process.exit(0)
})

rmSync(target, { recursive: true, force: true })
const bundle = await rolldown({
  input: join(root, 'src', 'cli', 'main.ts'),
  platform: 'node',
  // What has native code or is optional stays where it is.
  external: ['pg-native', 'msgpackr-extract'],
  plugins: [
    {
      name: 'keyhound',
      transform: { filter: { code: 'import.meta.url' }, handler: keepPlace },
      renderChunk: takeBuiltinsDirectly,
      // Last of all: what renderChunk returns is printed anew, without escapes.
      generateBundle(_, files) {
        for (const file of Object.values(files)) if (file.type === 'chunk') file.code = inAscii(file.code)
      },
    },
  ],
})
// Without comments, an eighth of it; the lines stay, so that a stack trace says something.
const { output } = await bundle.write({
  dir: target,
  format: 'esm',
  entryFileNames: '[name].js',
  comments: false,
})
await bundle.close()

const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : [])).filter(existsSync)
const own = modules.filter((path) => !path.includes('node_modules')).map((path) => relative(root, path))
writeFileSync(join(target, 'licenses.txt'), licenses(modules))
writeFileSync(
  join(target, 'made-from.json'),
  JSON.stringify([...own.toSorted(), ...(existsSync(join(root, INSTALLED)) ? [INSTALLED] : [])].map(asFound)),
)

/** Of a source: path, size, time and hash, as the launcher compares them. */
function asFound(path) {
  const { size, mtimeMs } = statSync(join(root, path))
  const sha256 = createHash('sha256')
    .update(readFileSync(join(root, path)))
    .digest('hex')
  return [path, size, mtimeMs, sha256]
}

/** Code that finds files from its own place still finds them: its place is told from where the bundle is. */
function keepPlace(code, id) {
  if (!id.startsWith(join(root, 'src'))) return undefined
  const place = relative(target, id).replaceAll('\\', '/')
  return code.replaceAll('import.meta.url', `new URL(${JSON.stringify(place)}, import.meta.url).href`)
}

/**
 * `import` of a built-in module reads everything that the module exports, and with it makes what nobody asked for:
 * of node:http a second fetch, a twentieth of a second. Asked for directly, the module makes what is used.
 */
function takeBuiltinsDirectly(code) {
  const imports =
    /^import (?:([\w$]+)(?:, )?)?(?:\{ ([^}]+) \})? ?from "((?:node:)?(?:https?|process|util|crypto|fs))";$/gm
  return code.replaceAll(imports, (_, all, names, module) => {
    const found = `globalThis.process.getBuiltinModule("${module}")`
    const lines = [
      ...(all === undefined ? [] : [`const ${all} = ${found};`]),
      ...(names === undefined ? [] : [`const { ${names.replaceAll(' as ', ': ')} } = ${found};`]),
    ]
    return lines.join(' ')
  })
}

/**
 * A single character beyond Latin-1 makes V8 keep a whole file at two bytes a character for as long as the process runs: a
 * few dashes and bullets took 10 MB. As escapes they are the same characters, in names, texts and regular expressions; not
 * in what `String.raw` takes as it is written.
 */
function inAscii(code) {
  const raw = /String\.raw`[^`]*[\u0080-\uffff]/.exec(code)
  if (raw !== null) throw new Error(`only ASCII in String.raw: ${raw[0]}`)
  return code.replaceAll(/(\\*)([\u0080-\uffff])/g, (_, slashes, character) => {
    // A backslash of its own before it would make the escape a text.
    const before = slashes.length % 2 === 0 ? slashes : slashes.slice(1)
    return `${before}\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** The licences of the packages whose code the bundle holds: they ask to be passed on with it. */
function licenses(paths) {
  const folders = new Set(paths.map(packageFolder).filter((folder) => folder !== undefined))
  return [...folders]
    .toSorted((a, b) => a.localeCompare(b))
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
      const text =
        file === undefined ? `Licence: ${license}` : readFileSync(join(folder, file), 'utf8').trim()
      return `${name} ${version}\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function packageFolder(path) {
  const found = /^(.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)/.exec(dirname(path))
  return found?.[1]
}
