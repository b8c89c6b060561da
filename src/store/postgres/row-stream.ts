import pg from 'pg'
import { sql, type QueryResult, type RawBuilder } from 'kysely'
import type { Database } from './database.ts'

/** The columns of a row in their order, as the driver reads them. Valid only while it is shown. */
export type RowColumns = readonly unknown[]

/** Stands among the parameters of a query whose rows are not collected: the server never sees it. */
export class RowSink {
  readonly onRow: (row: RowColumns) => void

  constructor(onRow: (row: RowColumns) => void) {
    this.onRow = onRow
  }
}

/**
 * Shows the rows of a query one by one, as they come: a million of them take no memory, and are worked on while the
 * database makes the next. Throws what the query or `onRow` throws; rows may have been shown by then.
 */
export async function eachRow(
  db: Database,
  query: RawBuilder<unknown>,
  onRow: (row: RowColumns) => void,
): Promise<void> {
  await sql`${query} /* each row to ${new RowSink(onRow)} */`.execute(db)
}

/** The sink of a query, and its other parameters. Kysely hands parameters through as they are, in their order. */
export function sinkAmong(parameters: readonly unknown[]): {
  readonly values: unknown[]
  readonly sink: RowSink | undefined
} {
  const last = parameters.at(-1)
  if (!(last instanceof RowSink)) return { values: [...parameters], sink: undefined }
  return { values: parameters.slice(0, -1), sink: last }
}

/** Runs a query on a connection and gives its rows to the sink. */
export async function queryInto(
  client: pg.PoolClient,
  { text, values }: { readonly text: string; readonly values: unknown[] },
  { onRow }: RowSink,
): Promise<QueryResult<never>> {
  const config: pg.QueryArrayConfig = { text, values, rowMode: 'array' }
  return new Promise((resolve, reject) => {
    let failure: { readonly error: unknown } | undefined
    const query = client.query(new pg.Query<unknown[]>(config))
    query.on('row', (row: RowColumns) => {
      if (failure !== undefined) return
      try {
        onRow(row)
      } catch (error) {
        // Thrown here it would end the process; the connection is of use again when the last row has come.
        failure = { error }
      }
    })
    query.on('error', reject)
    query.on('end', () => {
      if (failure === undefined) resolve({ rows: [] })
      else reject(failure.error instanceof Error ? failure.error : new Error(String(failure.error)))
    })
  })
}
