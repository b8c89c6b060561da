-- keyhound watches itself: what is wrong with it, who was told, and what is done once for all replicas.

-- Something that is wrong with keyhound itself. Kept open by every process that finds it, and over when none has for a while.
create table self_alert (
  id uuid primary key,
  topic text collate "C" not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  title text not null,
  opened_at timestamptz not null,
  last_bad_at timestamptz not null,
  told_at timestamptz not null,
  closed_at timestamptz
) with (fillfactor = 70);
comment on index self_alert_pkey is 'self-alert-store.ts: a self-alert by its id';
create unique index self_alert_open on self_alert (topic) where closed_at is null;
comment on index self_alert_open is 'self-alert-store.ts: the one open self-alert of a topic (the database allows no second), and all open ones';
create index self_alert_opened on self_alert (opened_at);
comment on index self_alert_opened is 'digest-facts.ts: self-alerts of a week; self-alert-store.ts: those too old to keep';

-- The outbox of what keyhound says about itself. No channel: the first one that takes it.
create table self_notice (
  id uuid primary key,
  topic text collate "C" not null,
  channel text,
  notice jsonb not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  -- Notices of one topic are sent in this order.
  number bigint generated always as identity,
  created_at timestamptz not null,
  due_at timestamptz not null,
  locked_until timestamptz,
  settled_at timestamptz,
  receipt text,
  last_error text
) with (fillfactor = 70);
comment on index self_notice_pkey is 'self-alert-store.ts: a notice by its id';
create index self_notice_due on self_notice (due_at) where state = 'pending';
comment on index self_notice_due is 'self-alert-store.ts: claims notices that are due';
create index self_notice_settled on self_notice (settled_at) where state <> 'pending';
comment on index self_notice_settled is 'self-alert-store.ts: notices that are too old to keep';

-- What is done once for all replicas, at a time: the newest turn that somebody took.
create table duty (
  name text collate "C" primary key,
  turn_at timestamptz not null
);
comment on index duty_pkey is 'duty.ts: a duty by its name';

-- When a tick of the shard last ran to its end: `last_tick_at` only says that somebody began.
alter table tick_state add column succeeded_at timestamptz;
