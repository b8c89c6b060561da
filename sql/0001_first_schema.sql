-- keyhound's first schema.
--
-- Texts that are keys are collate "C": sorted alike by every writer on every server (sorted writers never deadlock),
-- faster to compare, and safe from the collation changes of an operating system upgrade.
-- Every index, primary keys included, says with `comment on index` which query it serves.

-- The SHA-256 of every migration as it was applied: an applied file never changes.
create table migration_checksum (
  name text primary key,
  sha256 text not null
);
comment on index migration_checksum_pkey is 'migrate.ts: compares the applied migrations with the files';

-- ---------------------------------------------------------------------------------------------------------------
-- Usage
-- ---------------------------------------------------------------------------------------------------------------

-- Raw events, one partition per UTC day. The promise is that the same id delivered twice counts once:
--   * The primary key keeps out a redelivery with the same key and timestamp, at any distance in time and however many
--     writers run at once. It holds `ts` because a unique key of a partitioned table must hold the partition key, and
--     starts with `key_id` so that the table can be distributed by key.
--   * A redelivery with another timestamp (a gateway that stamps a retry anew) is found by the writer, which looks an id
--     up within a day of the event, by (key_id, event_id). The first delivery counts.
--   * Ids are compared within their key, so that the ids of one key can never hide the requests of another.
-- A global table of ids would cost a second index write per event, random and as large as the history.
create table usage_event (
  key_id text collate "C" not null,
  event_id text collate "C" not null,
  ts timestamptz not null,
  model text collate "C" not null,
  provider text,
  ip text,
  country text,
  latitude double precision,
  longitude double precision,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cached_input_tokens bigint not null,
  cost_nano_usd bigint,
  cost_estimated boolean not null,
  status_code integer not null,
  latency_ms bigint,
  team_id text,
  user_id text,
  environment text,
  metadata jsonb,
  primary key (key_id, event_id, ts)
) partition by range (ts);
comment on index usage_event_pkey is
  'usage-writer.ts: keeps redeliveries out and finds restamped ones; notification-source.ts: traffic of one key in an incident';

create index usage_event_ts on usage_event using brin (ts);
comment on index usage_event_ts is 'event-reader.ts: streams a span of time in order; cheap to keep, rows arrive in the order of time';

-- Takes the days that have no partition, so that no event, however old, can fail a batch. partitions.ts makes
-- partitions for the days around now; retention.ts deletes from this one and drops those.
create table usage_event_default partition of usage_event default;

-- The cube that detectors read: usage per minute, key, model and country ('' when the place is unknown). Counters
-- saturate at 2^53 - 1, the largest integer that JavaScript counts exactly. A fill factor of 70 keeps updates on their page.
create table usage_rollup (
  bucket timestamptz not null,
  key_id text collate "C" not null,
  model text collate "C" not null,
  country text collate "C" not null,
  requests bigint not null,
  refused bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cached_input_tokens bigint not null,
  cost_nano_usd bigint not null,
  unpriced bigint not null,
  primary key (bucket, key_id, model, country)
) with (fillfactor = 70);
comment on index usage_rollup_pkey is
  'usage-writer.ts: adds to the cube; engine-store.ts: usage of the active keys, hours to learn; operator-store.ts: one key by minute; retention.ts';

-- What is known of a key itself. Team and environment are those of its newest events. `last_seen_at` is at most an hour
-- behind: written more often, every batch would rewrite the row of every key in it.
create table api_key (
  key_id text collate "C" primary key,
  team_id text,
  environment text,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz,
  state text not null default 'active' check (state in ('active', 'revoked'))
) with (fillfactor = 70);
comment on index api_key_pkey is 'usage-writer.ts, engine-store.ts, operator-store.ts: a key by its id';

-- Hours of keys with usage that no profile has learnt: the learner's list of work, written with the usage.
create table unlearnt_hour (
  hour timestamptz not null,
  key_id text collate "C" not null,
  -- When the first event of the hour was stored: an hour of an imported history is learnt once the rest had time to come.
  arrived_at timestamptz not null default clock_timestamp(),
  primary key (hour, key_id)
);
comment on index unlearnt_hour_pkey is 'engine-store.ts: the oldest closed hours that are to be learnt';

-- What detectors remember of a key.
create table profile (
  key_id text collate "C" primary key,
  learned_until timestamptz not null,
  state jsonb not null
) with (fillfactor = 70);
comment on index profile_pkey is 'engine-store.ts, operator-store.ts: the profile of a key';

-- Events that were refused. The digest covers reason and payload: a queue that starts again at job 1 must not hide what
-- it brings behind what an older job of the same id brought. The payload is JSON kept as text, because it may hold what
-- jsonb refuses (NUL, lone surrogates).
create table rejected_event (
  job_id text collate "C" not null,
  item_index integer not null,
  digest text collate "C" not null,
  received_at timestamptz not null,
  reason text not null,
  payload text,
  primary key (job_id, item_index, digest)
);
comment on index rejected_event_pkey is 'rejected-events.ts: makes the repeat of a job harmless';
create index rejected_event_received_at on rejected_event (received_at);
comment on index rejected_event_received_at is 'retention.ts: rejected events that are too old to keep';

-- ---------------------------------------------------------------------------------------------------------------
-- Alerts
-- ---------------------------------------------------------------------------------------------------------------

-- Alerts of one group that are open at the same time, announced together.
create table incident (
  id uuid primary key,
  group_key text not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  announced_severity text check (announced_severity in ('info', 'warning', 'critical')),
  last_announced_at timestamptz,
  announcements integer not null default 0
);
comment on index incident_pkey is 'commit-tick.ts, notification-source.ts: an incident by its id';
create unique index incident_open on incident (group_key) where closed_at is null;
comment on index incident_open is 'commit-tick.ts: the one open incident of a group, and all open ones; the database allows no second';

create table alert (
  id uuid primary key,
  incident_id uuid not null references incident (id),
  detector text collate "C" not null,
  key_id text collate "C" not null,
  scope text collate "C" not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  status text not null check (status in ('firing', 'acknowledged', 'resolved', 'silenced')),
  opened_at timestamptz not null,
  last_seen_at timestamptz not null,
  resolved_at timestamptz,
  occurrences integer not null,
  summary text not null,
  evidence jsonb not null,
  -- The severity that the revocation policy has judged; its messages wait while it differs from `severity`.
  decided_severity text check (decided_severity in ('info', 'warning', 'critical')),
  check ((status = 'resolved') = (resolved_at is not null))
) with (fillfactor = 70);
comment on index alert_pkey is 'operator-store.ts, commit-tick.ts: an alert by its id';
create unique index alert_open on alert (key_id, detector, scope) where status <> 'resolved';
comment on index alert_open is
  'commit-tick.ts: the one open alert of a detector on a key and scope (the database allows no second); engine-store.ts: all open alerts; revocation-store.ts: those to decide';
create index alert_key_opened on alert (key_id, opened_at);
comment on index alert_key_opened is 'engine-store.ts: was an alert open on the key in this hour; operator-store.ts: alerts of one key';
create index alert_opened on alert (opened_at desc, id desc);
comment on index alert_opened is 'operator-store.ts: alerts, newest first, page by page';
create index alert_incident on alert (incident_id);
comment on index alert_incident is 'commit-tick.ts, notification-source.ts: the alerts of an incident';

-- What happened to an alert, oldest first.
create table alert_history (
  id bigint generated always as identity primary key,
  alert_id uuid not null references alert (id),
  at timestamptz not null,
  change text not null check (change in ('opened', 'escalated', 'acknowledged', 'resolved')),
  severity text not null check (severity in ('info', 'warning', 'critical')),
  actor text not null,
  note text
);
comment on index alert_history_pkey is 'operator-store.ts: the order of an alert''s history';
create index alert_history_alert on alert_history (alert_id, id);
comment on index alert_history_alert is 'operator-store.ts: the history of one alert';

-- ---------------------------------------------------------------------------------------------------------------
-- Response
-- ---------------------------------------------------------------------------------------------------------------

-- One decision about revoking one key, and what became of it.
create table revocation (
  id uuid primary key,
  key_id text collate "C" not null,
  alert_id uuid references alert (id),
  incident_id uuid references incident (id),
  state text not null check (
    state in ('dry_run', 'refused', 'proposed', 'pending', 'revoked', 'failed', 'restoring', 'restored')
  ),
  reason text not null,
  actor text not null,
  attempts integer not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  due_at timestamptz not null,
  locked_until timestamptz,
  -- What the call that is under way is for; an operator may change the state meanwhile.
  calling text check (calling in ('pending', 'restoring')),
  receipt text,
  last_error text
);
comment on index revocation_pkey is 'revocation-store.ts: a revocation by its id';
create unique index revocation_standing on revocation (key_id) where state in ('proposed', 'pending', 'revoked', 'restoring');
comment on index revocation_standing is 'revocation-store.ts: the one revocation of a key that stands; the database allows no second';
create index revocation_due on revocation (due_at) where state in ('pending', 'restoring');
comment on index revocation_due is 'revocation-store.ts: claims calls that are due';
create index revocation_key on revocation (key_id, created_at desc);
comment on index revocation_key is 'revocation-store.ts: revocations of a key, newest first';
create index revocation_incident on revocation (incident_id, created_at desc);
comment on index revocation_incident is 'notification-source.ts: the newest answer to an incident';
create index revocation_policy on revocation (created_at) where actor = 'policy';
comment on index revocation_policy is 'revocation-store.ts: how many keys the policy has revoked in the last hour';

-- The outbox. An announcement (its number within the incident) goes to each channel once, and so does each turn of a
-- revocation (number 0).
create table delivery (
  id uuid primary key,
  incident_id uuid not null references incident (id),
  number integer not null,
  type text not null check (
    type in (
      'alert.opened', 'alert.repeated', 'alert.resolved', 'key.revocation_proposed', 'key.revoked',
      'key.revocation_failed', 'key.restored'
    )
  ),
  channel text not null,
  revocation_id uuid references revocation (id),
  state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  created_at timestamptz not null,
  due_at timestamptz not null,
  locked_until timestamptz,
  settled_at timestamptz,
  receipt text,
  last_error text,
  constraint delivery_once unique nulls not distinct (incident_id, number, type, channel, revocation_id)
) with (fillfactor = 70);
comment on index delivery_pkey is 'delivery-store.ts: a delivery by its id';
comment on index delivery_once is
  'commit-tick.ts, revocation-store.ts: no message twice to a channel; operator-store.ts: the deliveries of an incident';
create index delivery_due on delivery (due_at) where state = 'pending';
comment on index delivery_due is 'delivery-store.ts: claims deliveries that are due, oldest first';
create index delivery_settled on delivery (settled_at) where state <> 'pending';
comment on index delivery_settled is 'retention.ts: deliveries that are too old to keep';

-- ---------------------------------------------------------------------------------------------------------------
-- Running
-- ---------------------------------------------------------------------------------------------------------------

-- What people and the policy did to keys and alerts. Append-only: the database refuses to change or delete a line.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  key_id text collate "C",
  subject uuid,
  detail jsonb not null
);
comment on index audit_pkey is 'audit.ts: the order of the audit';
create index audit_key on audit (key_id, id desc);
comment on index audit_key is 'audit.ts: what was done to a key, newest first';

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_append_only before update or delete or truncate on audit
  for each statement execute function refuse_change();

-- What keyhound must remember of itself: the secret that hashes key ids.
create table setting (
  name text collate "C" primary key,
  value text not null
);
comment on index setting_pkey is 'key-hash-secret.ts: a setting by its name';

-- The newest tick of each shard: a tick that is claimed again, or late, is not run.
create table tick_state (
  shard_count integer not null,
  shard_index integer not null,
  last_tick_at timestamptz not null,
  primary key (shard_count, shard_index)
);
comment on index tick_state_pkey is 'tick-claim.ts: the newest tick of a shard';
