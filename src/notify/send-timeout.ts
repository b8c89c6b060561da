import { SECOND_MS } from '../usage/duration.ts'

/** One try, with a second request for a fallback and the steps of a mail server's talk. */
export const SEND_TIMEOUT_MS = 30 * SECOND_MS
