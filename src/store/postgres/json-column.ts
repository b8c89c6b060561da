import type { ColumnType } from 'kysely'

/** A jsonb column: text goes in, what it holds comes out parsed. */
export type Json<Value> = ColumnType<Value, string, string>
