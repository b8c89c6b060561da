import { counted } from '../../detect/sentence.ts'
import { unclear, type Condition } from '../judgement.ts'

/** One call that fails is the network's; three in a row are a reason. */
const HEARTBEAT_FAILURES = 3

export const revokeFailed: Condition = {
  name: 'revoke_failed',
  judge: ({ revocations }) => {
    const topic = 'revoke_failed'
    if (revocations === undefined) return [unclear(topic)]
    if (revocations.failedKeys === 0) return [{ topic, state: 'good' }]
    return [
      {
        topic,
        state: 'bad',
        problem: {
          severity: 'critical',
          title: `${counted(revocations.failedKeys, 'key')} could not be revoked`,
          text:
            'keyhound has given up calling the gateway within the last day, and nobody has revoked since: the keys may still ' +
            'work for whoever stole them.',
          advice:
            "Revoke at the gateway by hand, now. Which keys and why: select key_id, last_error from revocation where state = 'failed'. Then mend revoke.action and try: keyhound keys revoke KEY_ID.",
        },
      },
    ]
  },
}

export const revocationsHalted: Condition = {
  name: 'revocations_halted',
  judge: ({ revocations }) => {
    const topic = 'revocations_halted'
    if (revocations === undefined) return [unclear(topic)]
    if (revocations.halts.length === 0) return [{ topic, state: 'good' }]
    return [
      {
        topic,
        state: 'bad',
        problem: {
          severity: 'warning',
          title: 'no key is revoked by itself',
          text: `Revocations are halted: ${revocations.halts.join('; ')}. Alerts go on, and what would have been revoked is told.`,
          advice:
            'Look at the open alerts yourself: keyhound alerts list --status firing. To let the policy act again: keyhound revocations resume.',
        },
      },
    ]
  },
}

export const detectorFailing: Condition = {
  name: 'detector_failing',
  judge: ({ detectors }, settings) =>
    (detectors ?? []).map(({ detector, keys, inARow, error }) => {
      const topic = `detector_failing:${detector}`
      if (inARow === 0) return { topic, state: 'good' }
      if (inARow < settings.detector_failures) return unclear(topic)
      return {
        topic,
        state: 'bad',
        problem: {
          severity: 'warning',
          title: `the detector ${detector} keeps failing`,
          text:
            `It has failed ${inARow} ticks in a row (${error}), at present on ${counted(keys, 'key')}. These keys are not ` +
            'judged by it; the other detectors and keys go on, and it is tried again at every tick.',
          advice:
            'This is a defect of keyhound: the log line "a detector failed on a key" has the stack. Update keyhound or report it; until then detectors of another kind watch the keys.',
        },
      }
    }),
}

export const heartbeatFailing: Condition = {
  name: 'heartbeat_failing',
  judge: ({ heartbeat }) => {
    if (heartbeat === undefined) return []
    const topic = 'heartbeat_failing'
    if (heartbeat.failures === 0) return [{ topic, state: 'good' }]
    if (heartbeat.failures < HEARTBEAT_FAILURES) return [unclear(topic)]
    return [
      {
        topic,
        state: 'bad',
        problem: {
          severity: 'warning',
          title: 'the sign of life does not arrive',
          text:
            `The last ${heartbeat.failures} calls of heartbeat.url have failed (${heartbeat.error}). keyhound works, but the dead ` +
            'man’s switch may say that it is dead, and cannot say when it really is.',
          advice:
            'Look at the service behind heartbeat.url, and whether this machine reaches it (proxy, firewall, network.allow_private).',
        },
      },
    ]
  },
}
