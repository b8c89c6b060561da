/* oxlint-disable typescript/no-unsafe-assignment, typescript/no-unsafe-argument, typescript/no-unsafe-call, typescript/no-unsafe-member-access, typescript/no-unsafe-return -- plain JavaScript, so that it runs on any Node before anything is installed */
// A lock file that was written where the registry lacked a package for some platform leaves that package out, and npm ci
// then refuses the whole file (npm/cli#9846). This finds such gaps: every optional dependency must be in the lock.
import { readFileSync } from 'node:fs'

const lockFile = new URL('../package-lock.json', import.meta.url)
const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'))

const missing = Object.entries(packages).flatMap(([at, entry]) =>
  Object.keys(entry.optionalDependencies ?? {})
    .filter((name) => !isLocked(name, at))
    .map((name) => `${name} (of ${at || 'keyhound'})`),
)
if (missing.length > 0) {
  console.error(
    `package-lock.json lacks:\n${missing.join('\n')}\nUse a version that is published for every platform.`,
  )
  process.exitCode = 1
}

/** Looks where Node would: in the package's own node_modules, then in each one further out. */
function isLocked(name, at) {
  for (let directory = at; ; directory = outer(directory)) {
    if (packages[`${directory ? `${directory}/` : ''}node_modules/${name}`]) return true
    if (!directory) return false
  }
}

function outer(directory) {
  const end = directory.lastIndexOf('/node_modules/')
  return end === -1 ? '' : directory.slice(0, end)
}
