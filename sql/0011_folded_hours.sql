-- What is older than eight days is folded by retention: one row for each hour, key, model and country, in place of the
-- hour's first minute. No table changes.
comment on table usage_rollup is
  'usage per minute, key, model and country; after eight days per hour, as of the first minute of it (fold-hours.ts)';
comment on index usage_rollup_pkey is
  'usage-writer.ts: adds to the cube; engine-store.ts: usage of the active keys, hours to learn; operator-store.ts: one key by minute; fold-hours.ts; retention.ts';
