import { createEnricher } from '../../enrich/enrich-event.ts'
import { geoLitePlaces } from '../../enrich/place.ts'
import { bundledPriceList } from '../../enrich/price.ts'
import { startIngest } from '../../ingest/worker.ts'
import { keyHashSecret } from '../../store/postgres/key-hash-secret.ts'
import { createUsageWriter } from '../../store/postgres/usage-writer.ts'
import type { Part, PartContext } from './part.ts'

/** The role `ingest`: usage events from the queue into the database. */
export async function startIngestPart({
  session,
  environment,
  clock,
  log,
  metrics,
}: PartContext): Promise<Part> {
  const hashKey = await keyHashSecret(session.database)
  return startIngest({
    queues: session.backends.queues,
    queueName: environment.queueName,
    writer: createUsageWriter(session.database, clock),
    enrich: createEnricher({ places: geoLitePlaces(), prices: bundledPriceList() }),
    hashKey,
    metrics: metrics.ingest,
    log,
    clock,
  })
}
