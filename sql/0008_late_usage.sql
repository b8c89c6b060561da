-- Which minutes of which keys got usage late, written with it: more than five minutes, up to four hours after it happened.
-- A tick reads the newest minutes anyway, and of the older ones only those that are noted here. Retention clears it.
-- No key: two batches may note the same, and nothing is counted from it.
create table late_usage (
  noted_at timestamptz not null default clock_timestamp(),
  key_id text collate "C" not null,
  bucket timestamptz not null
);
create index late_usage_noted_at on late_usage (noted_at);
comment on index late_usage_noted_at is 'late-usage.ts: what was noted since a tick; retention.ts';
