import { minute } from '../../alert/message-values.ts'
import { counted, grouped } from '../../detect/sentence.ts'
import { DAY_MS } from '../../usage/duration.ts'
import { elapsedInWords } from '../elapsed-in-words.ts'
import { between, unclear, type Condition } from '../judgement.ts'
import { EXPECTED_MIN } from '../is-blind.ts'

/** A measure is over when it has fallen to this share of what opened it. */
const CLOSES_AT = 0.5

export const ingestSilent: Condition = {
  name: 'ingest_silent',
  judge: ({ usage, jobs }, settings, nowMs) => {
    const topic = 'ingest_silent'
    if (usage === undefined) return [unclear(topic)]
    // Before the first event there is nothing that could fall silent.
    if (usage.newestMs === undefined) return [{ topic, state: 'good' }]
    const silentMs = nowMs - usage.newestMs
    const opens = settings.ingest_silent_after
    if (silentMs <= opens * CLOSES_AT) return [{ topic, state: 'good' }]
    // Work that waits is a lag; a queue that nobody can ask may hold work.
    if (jobs === undefined || jobs.waiting > 0) return [unclear(topic)]
    // A quiet night is no outage. One that began by day does not end because night falls: it stays as it was.
    if (usage.expected === undefined || usage.expected < EXPECTED_MIN) return [unclear(topic)]
    const { newestMs, expected } = usage
    return [
      between(topic, { value: silentMs, opens, closes: 0 }, () => ({
        severity: 'critical',
        title: 'no usage arrives',
        text:
          `The newest request that keyhound knows of happened ${elapsedInWords(silentMs)} ago, at ${minute(new Date(newestMs))}; ` +
          `about ${counted(expected, 'request')} would be usual since then. Either nobody uses any key, or the gateway does ` +
          'not report: a theft would not be seen.',
        advice:
          'Until it ends keyhound resolves no alert and judges nothing by what is missing. Look at the gateway’s log and callback, then push one event: keyhound ingest FILE.',
      })),
    ]
  },
}

export const ingestLagging: Condition = {
  name: 'ingest_lagging',
  judge: ({ usage, jobs }, settings, nowMs) => {
    const topic = 'ingest_lagging'
    if (usage === undefined || jobs === undefined) return [unclear(topic)]
    if (jobs.waiting === 0 || usage.newestMs === undefined) return [{ topic, state: 'good' }]
    const lagMs = nowMs - usage.newestMs
    // A history that is being imported lags by its nature: no live usage came before it.
    if (lagMs > DAY_MS) return [unclear(topic)]
    const opens = settings.ingest_lag
    return [
      between(topic, { value: lagMs, opens, closes: opens * CLOSES_AT }, () => ({
        severity: 'critical',
        title: `usage is taken in ${elapsedInWords(lagMs)} late`,
        text:
          `${counted(jobs.waiting, 'job')} of usage events wait in the queue, and the newest usage that is stored is ` +
          `${elapsedInWords(lagMs)} old. Alerts come as late as that.`,
        facts: [{ label: 'Jobs waiting', value: grouped(jobs.waiting) }],
        advice:
          'Nothing is lost. Start another replica: keyhound start --role ingest. If none is running, look at why; then at the load of the database.',
      })),
    ]
  },
}

export const ticksLate: Condition = {
  name: 'ticks_late',
  judge: ({ ticks }, settings, nowMs) => {
    const topic = 'ticks_late'
    if (ticks === undefined) return [unclear(topic)]
    const lateMs = nowMs - ticks.oldestSuccessMs
    // Never sooner than three ticks have failed to come.
    const opens = Math.max(settings.ticks_late_after, 3 * ticks.tickMs)
    return [
      between(topic, { value: lateMs, opens, closes: opens * CLOSES_AT }, () => ({
        severity: 'critical',
        title: `the detectors have not run for ${elapsedInWords(lateMs)}`,
        text:
          `At least one part of the keys was last judged at ${minute(new Date(ticks.oldestSuccessMs))}. Usage is stored, ` +
          'but nobody looks at it: a theft would not be seen.',
        advice:
          'Is a replica with the role detect running? If so, its log says why ticks fail: look for "a tick failed". The next good tick looks at all recent usage.',
      })),
    ]
  },
}

export const deliveriesLate: Condition = {
  name: 'deliveries_late',
  judge: ({ deliveries }, settings, nowMs) => {
    const topic = 'deliveries_late'
    if (deliveries === undefined) return [unclear(topic)]
    const { overdue, oldestDueMs } = deliveries
    if (oldestDueMs === undefined) return [{ topic, state: 'good' }]
    const lateMs = nowMs - oldestDueMs
    const opens = settings.deliveries_late_after
    return [
      between(topic, { value: lateMs, opens, closes: opens * CLOSES_AT }, () => ({
        severity: 'critical',
        title: `${counted(overdue, 'message')} about alerts have not been sent`,
        text:
          `The oldest has been due for ${elapsedInWords(lateMs)} and nobody has tried to send it: people are not told of ` +
          'alerts that are open.',
        advice:
          'Is a replica with the role notify running? See what is open: keyhound alerts list --status firing.',
      })),
    ]
  },
}
