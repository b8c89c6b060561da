import { userInfo } from 'node:os'
import { systemClock } from '../clock.ts'
import { readEnvironment } from '../config/env.ts'
import { openSession, type Session } from '../daemon/session.ts'

/** Runs an operator's command against the servers of the environment, and lets go of them whatever happens. */
export async function withSession<Result>(run: (session: Session) => Promise<Result>): Promise<Result> {
  const session = await openSession({
    environment: readEnvironment(process.env),
    clock: systemClock,
    onNotice: (message) => console.error(message),
  })
  try {
    return await run(session)
  } finally {
    await session.close()
  }
}

/** Who acts, for the audit: the account of the machine that the command runs on. */
export function cliActor(): string {
  try {
    return `cli:${userInfo().username}`
  } catch {
    // An account without an entry in the password file, as containers have it.
    return `cli:uid-${process.getuid?.() ?? 'unknown'}`
  }
}
