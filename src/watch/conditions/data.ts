import { minute } from '../../alert/message-values.ts'
import { counted, listed } from '../../detect/sentence.ts'
import { DAY_MS } from '../../usage/duration.ts'
import { between, unclear, type Condition } from '../judgement.ts'

const CLOSES_AT = 0.5
/** Hours with fewer requests say nothing about the share of them that has no price. */
const PRICED_MIN = 100
const MODELS_NAMED = 5

export const deadLetters: Condition = {
  name: 'dead_letters',
  judge: ({ rejected, jobs }, settings) => {
    const topic = 'dead_letters'
    if (rejected === undefined) return [unclear(topic)]
    const failed = jobs?.failed ?? 0
    const opens = settings.rejected_events
    // A job that failed for good is a loss by itself: ingest refuses events, it does not fail.
    const value = failed > 0 ? Math.max(opens, rejected.count) : rejected.count
    return [
      between(topic, { value, opens, closes: opens * CLOSES_AT }, () => ({
        severity: 'warning',
        title: `${counted(rejected.count, 'event')} refused${failed > 0 ? ` and ${counted(failed, 'job')} failed` : ''} within 15 minutes`,
        text:
          'What is refused is not counted for any key: its use and its cost are larger than keyhound says. ' +
          (rejected.commonest === undefined ? '' : `Most often: ${rejected.commonest}.`),
        advice:
          'The events are kept with their reasons: select reason, count(*) from rejected_event group by 1 order by 2 desc. Mend the gateway, then push what was refused again.',
      })),
    ]
  },
}

export const unpricedTraffic: Condition = {
  name: 'unpriced_traffic',
  judge: ({ pricing }, settings) => {
    const topic = 'unpriced_traffic'
    if (pricing === undefined) return [unclear(topic)]
    const { requests, unpriced, models } = pricing
    if (requests < PRICED_MIN) return [unpriced === 0 ? { topic, state: 'good' } : unclear(topic)]
    const opens = settings.unpriced_share
    return [
      between(topic, { value: unpriced / requests, opens, closes: opens * CLOSES_AT }, () => ({
        severity: 'warning',
        title: `nobody knows what ${Math.round((100 * unpriced) / requests)} % of the requests cost`,
        text:
          `${counted(unpriced, 'request')} of ${requests} in the last hour came without a cost and with a model that has no ` +
          'known price. Limits on spend and figures of cost do not see them.',
        facts: [{ label: 'Models', value: models.length === 0 ? 'unknown' : listed(models, MODELS_NAMED) }],
        advice:
          'Let the gateway send cost_usd, or update keyhound, whose price list comes with it. Limits on tokens and requests work without a price.',
      })),
    ]
  },
}

export const geoDataOld: Condition = {
  name: 'geo_data_old',
  judge: ({ geo }, settings, nowMs) => {
    if (geo === undefined) return []
    const ageMs = nowMs - geo.dataMs
    if (ageMs < settings.geo_data_age) return [{ topic: 'geo_data_old', state: 'good' }]
    return [
      {
        topic: 'geo_data_old',
        state: 'bad',
        problem: {
          severity: 'info',
          title: `the data about places are ${Math.floor(ageMs / DAY_MS)} days old`,
          text:
            `They were installed or updated at ${minute(new Date(geo.dataMs))}. Addresses change hands: the older the data, the ` +
            'more often unusual_geo and impossible_travel are wrong.',
          advice:
            'Update keyhound, or the data of the package geoip-lite in place (its updatedb script, with a key of MaxMind).',
        },
      },
    ]
  },
}
