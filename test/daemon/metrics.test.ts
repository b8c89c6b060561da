import { expect, test } from 'vitest'
import { createMetrics } from '../../src/daemon/metrics.ts'

test('what is counted stands in the text for Prometheus, under names of our own', async () => {
  const metrics = createMetrics({
    queueWaiting: async () => 7,
    queueLagSeconds: async () => 2.5,
    openAlerts: async () => [{ status: 'firing', count: 2 }],
    halts: async () => [{ cause: 'many_keys' }],
  })
  metrics.ingest.ingested(10)
  metrics.ingest.duplicate(2)
  metrics.ingest.rejected('invalid', 3)
  metrics.ingest.unpriced(1)
  metrics.ingest.secretReplaced(1)
  metrics.http.secretReplaced(1)
  metrics.ingest.jobsDone('bulk', 40)
  metrics.ingest.batchSeconds(0.02)
  metrics.http.answered('/api/v1/keys/:key_id', 200, 0.01)
  metrics.engine.tick(0.2, 1_767_323_045_000)
  metrics.engine.alertOpened('unusual_geo', 'critical')
  metrics.engine.delivery('oncall', 'delivered')
  metrics.engine.revocation('dry_run')
  metrics.engine.notEffective()
  metrics.engine.containment('revoked', 16)
  metrics.engine.detectorFailed('volume_spike')
  const { contentType, text } = await metrics.text()
  expect(contentType).toMatch(/^text\/plain/)
  for (const line of [
    'keyhound_events_ingested_total 10',
    'keyhound_events_duplicate_total 2',
    'keyhound_events_rejected_total{reason="invalid"} 3',
    'keyhound_events_rejected_total{reason="future"} 0',
    'keyhound_unpriced_events_total 1',
    'keyhound_secret_key_ids_total 2',
    'keyhound_ingest_batch_seconds_count 1',
    'keyhound_ingest_jobs_total{taken="bulk"} 40',
    'keyhound_ingest_jobs_total{taken="plain"} 0',
    'keyhound_queue_lag_seconds 2.5',
    'keyhound_http_request_seconds_count{route="/api/v1/keys/:key_id",status="200"} 1',
    'keyhound_tick_last_success_timestamp 1767323045',
    'keyhound_alerts_opened_total{detector="unusual_geo",severity="critical"} 1',
    'keyhound_deliveries_total{channel="oncall",outcome="delivered"} 1',
    'keyhound_revocations_total{state="dry_run"} 1',
    'keyhound_revocations_not_effective_total 1',
    'keyhound_containment_seconds_bucket{le="10",stage="revoked"} 0',
    'keyhound_containment_seconds_bucket{le="30",stage="revoked"} 1',
    'keyhound_revocations_halted{cause="many_keys"} 1',
    'keyhound_revocations_halted{cause="ingest_lag"} 0',
    'keyhound_detector_errors_total{detector="volume_spike"} 1',
    'keyhound_queue_waiting 7',
    'keyhound_open_alerts{status="firing"} 2',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
})

test('a scrape succeeds while the queue is away, and leaves out what nobody knows', async () => {
  const answers = [async () => 7, async () => Promise.reject(new Error('away'))]
  const metrics = createMetrics({
    queueWaiting: () => (answers.shift() as () => Promise<number>)(),
  })
  expect((await metrics.text()).text).toMatch(/^keyhound_queue_waiting 7$/m)
  expect((await metrics.text()).text).not.toMatch(/^keyhound_queue_waiting /m)
})

test('two sets of metrics are independent of each other', async () => {
  const [one, two] = [createMetrics(), createMetrics()]
  one.ingest.ingested(1)
  expect((await two.text()).text).toContain('keyhound_events_ingested_total 0')
})

test('complaint 16: a broken channel and what waits for it are gauges; the name of the channel is the only label', async () => {
  const metrics = createMetrics({
    channels: async () => [
      { name: 'oncall', broken: true, waiting: 3 },
      { name: 'mail', broken: false, waiting: 0 },
    ],
  })
  const { text } = await metrics.text()
  expect(text).toContain('keyhound_channel_broken{channel="oncall"} 1')
  expect(text).toContain('keyhound_channel_broken{channel="mail"} 0')
  expect(text).toContain('keyhound_deliveries_waiting{channel="oncall"} 3')
})

test('what is wrong with keyhound is a gauge per condition, 0 while all is well, and so is the last success of each detector', async () => {
  const metrics = createMetrics()
  let topics: string[] = []
  metrics.watch({
    topics: () => topics,
    detectorSuccesses: () => new Map([['volume_spike', 1_767_323_045_000]]),
  })
  const lines = async () => (await metrics.text()).text.split('\n')
  expect(await lines()).toContain('keyhound_problems{condition="ticks_late"} 0')
  topics = ['ticks_late', 'detector_failing:unusual_geo', 'detector_failing:volume_spike']
  const ill = await lines()
  expect(ill).toContain('keyhound_problems{condition="ticks_late"} 1')
  expect(ill).toContain('keyhound_problems{condition="detector_failing"} 2')
  expect(ill).toContain('keyhound_problems{condition="ingest_silent"} 0')
  expect(ill).toContain('keyhound_detector_last_success_timestamp{detector="volume_spike"} 1767323045')
})
