import { pino, type Logger } from 'pino'
import type { LogLevel } from '../config/env.ts'

export type { Logger } from 'pino'

/** JSON lines on standard error: standard output belongs to data. What might hold a secret is cut out by name. */
export function createLog(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: { app: 'keyhound', pid: process.pid },
      redact: {
        paths: [
          'authorization',
          '*.authorization',
          'req.headers',
          '*.password',
          '*.secret',
          '*.url',
          '*.smtp',
          '*.token',
        ],
        censor: '[secret]',
      },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
