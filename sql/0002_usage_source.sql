-- Where usage comes from: usage per ten minutes, key and address, written from the same rows as usage_rollup. A thief
-- whom the totals of a key hide is a new address with work of its own. Requests without an address are not in here.
-- Place is that of the address' first request in the bucket, null when it is unknown; 0, 0 is what place databases
-- write for "somewhere" and is read as unknown. `first_ts` and `last_ts` are the times of its first and last request.
create table usage_source (
  bucket timestamptz not null,
  key_id text collate "C" not null,
  address text collate "C" not null,
  country text,
  latitude double precision,
  longitude double precision,
  requests bigint not null,
  refused bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cached_input_tokens bigint not null,
  cost_nano_usd bigint not null,
  unpriced bigint not null,
  first_ts timestamptz not null,
  last_ts timestamptz not null,
  primary key (bucket, key_id, address)
) with (fillfactor = 70);
comment on index usage_source_pkey is
  'usage-writer.ts: adds to the sources; engine-store.ts: sources of the active keys; unlearnt-hours.ts: sources of the hours to learn; retention.ts';
