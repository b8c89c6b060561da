-- The life of an alert after it was opened: silences, maintenance, acknowledgements with an end, verdicts, escalation.

-- ---------------------------------------------------------------------------------------------------------------
-- Alerts
-- ---------------------------------------------------------------------------------------------------------------

alter table alert
  -- Evaluations in a row that did not find it; an alert is resolved after some.
  add column clean integer not null default 0,
  -- When it was first part of a message; null while nobody was told of it.
  add column announced_at timestamptz,
  add column acknowledged_until timestamptz,
  -- What keeps it quiet while its status is `silenced`: `silence:<id>` or `maintenance:<name>`.
  add column silenced_by text,
  -- When it became audible again (a silence, a window or an acknowledgement ended), and the words that say why.
  add column released_at timestamptz,
  add column release_reason text,
  -- What a person said of it last.
  add column verdict text check (verdict in ('compromised', 'expected', 'safe'));

alter table alert_history drop constraint alert_history_change_check;
alter table alert_history add constraint alert_history_change_check check (
  change in ('opened', 'escalated', 'acknowledged', 'silenced', 'released', 'told_further', 'verdict', 'resolved')
);

alter table incident
  -- Where its messages go, as the routes said when it was last looked at: for what is told although it is silenced.
  add column channels text[] not null default '{}',
  -- Since when an answer is awaited: its last message that was not a repeat.
  add column told_at timestamptz,
  -- Repeats since then: each waits longer.
  add column repeats integer not null default 0,
  -- The longest `escalate.after` that has been carried out since then, in milliseconds.
  add column escalated_ms bigint not null default 0,
  -- When something about it falls due that no finding announces: a repeat, an escalation.
  add column look_at timestamptz;

-- Why a message is sent that no new finding explains: a silence ended, nobody acknowledged.
alter table delivery add column reason text;

alter table delivery drop constraint delivery_type_check;
alter table delivery add constraint delivery_type_check check (
  type in (
    'alert.opened', 'alert.repeated', 'alert.acknowledged', 'alert.resolved', 'key.revocation_proposed', 'key.revoked',
    'key.revocation_failed', 'key.restored'
  )
);

-- ---------------------------------------------------------------------------------------------------------------
-- Silences
-- ---------------------------------------------------------------------------------------------------------------

-- A person's wish that nobody is told of some alerts for a while. Kept for ever: who silenced what is part of the audit.
create table silence (
  id uuid primary key,
  -- Patterns by field: {"key_id": ["batch-*"], "severity": ["info"]}; all that are named must match.
  matchers jsonb not null,
  -- A silence of this one alert, which ends when it is resolved.
  alert_id uuid references alert (id),
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at > starts_at),
  created_at timestamptz not null,
  created_by text not null check (created_by <> ''),
  comment text not null check (comment <> ''),
  -- When and by whom it was ended before its time.
  expired_at timestamptz,
  expired_by text,
  -- Alerts that it has silenced so far.
  silenced integer not null default 0
);
comment on index silence_pkey is 'silence-store.ts: a silence by its id';
create index silence_ends on silence (ends_at) where expired_at is null;
comment on index silence_ends is 'move-alerts.ts: silences in force; silence-store.ts: those not long over';

-- ---------------------------------------------------------------------------------------------------------------
-- Verdicts
-- ---------------------------------------------------------------------------------------------------------------

-- What people said of alerts, oldest first.
create table verdict (
  id uuid primary key,
  alert_id uuid not null references alert (id),
  key_id text collate "C" not null,
  verdict text not null check (verdict in ('compromised', 'expected', 'safe')),
  at timestamptz not null,
  actor text not null,
  comment text
);
comment on index verdict_pkey is 'give-verdict.ts: what a taught value rests on';
create index verdict_alert on verdict (alert_id, at);
comment on index verdict_alert is 'operator-store.ts: the verdicts on an alert; the dry-run ledger: what people said of a decision';

-- What a person said is safe for a key, until it expires. Not in the profile itself: what expires must leave no trace there.
create table taught_value (
  key_id text collate "C" not null,
  kind text not null check (kind in ('country', 'model', 'hour', 'volume')),
  -- A country, a model, an hour of the week (`Mon 03:00`), or a metric and window (`requests 5m`).
  value text collate "C" not null,
  -- The level that is safe, for a volume.
  level double precision,
  taught_at timestamptz not null,
  expires_at timestamptz not null,
  verdict_id uuid not null references verdict (id),
  primary key (key_id, kind, value)
);
comment on index taught_value_pkey is 'key-standing.ts: what was taught about the keys that a tick judges';

alter table api_key
  -- Since when the key has been in its state; null: since before this was kept.
  add column state_since timestamptz,
  -- Since when its profile learns no habits, because a person said that the key is compromised.
  add column frozen_at timestamptz;
create index api_key_revoked on api_key (key_id) where state = 'revoked';
comment on index api_key_revoked is 'key-standing.ts: the keys that are revoked, a few of a fleet';
