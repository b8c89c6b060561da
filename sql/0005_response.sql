-- Response that is proven: revocations that are watched until they hold, undone on a timer, halted when it is an outage.

-- ---------------------------------------------------------------------------------------------------------------
-- Revocations
-- ---------------------------------------------------------------------------------------------------------------

alter table revocation
  -- What the other side did: switched the key off, slowed it down, removed it. Null until it said so.
  add column means text check (means in ('disable', 'throttle', 'delete')),
  -- Calls that were made anew because the key was still used, each a request of its own; the first round is 1.
  add column round integer not null default 1,
  -- The first request of the abuse: the key's first one in the window that the alert judged.
  add column first_abuse_at timestamptz,
  -- When the other side first said that it was done, when it last did, and when the key's silence had proved it.
  add column revoked_at timestamptz,
  add column effective_from timestamptz,
  add column confirmed_at timestamptz,
  -- The newest successful request after the key should have been dead.
  add column still_used_at timestamptz,
  -- When it is undone by itself.
  add column restore_at timestamptz,
  -- How often the key had been revoked and given back before.
  add column strikes integer not null default 0,
  -- What the revoker must know to undo it. Written before the first call, never after.
  add column memo text,
  -- The halt that made it refused: judged anew when that ends.
  add column halt text check (halt in ('operator', 'ingest_lag', 'many_keys')),
  -- Decided by the policy, whoever approved or restored it since: what caps and the ledger count.
  add column by_policy boolean not null default false;

update revocation set by_policy = true where actor = 'policy';
drop index revocation_policy;
create index revocation_policy on revocation (created_at) where by_policy;
comment on index revocation_policy is 'policy-facts.ts: how many keys the policy has revoked in the last hour; ledger.ts: its decisions';

alter table revocation drop constraint revocation_state_check;
alter table revocation add constraint revocation_state_check check (
  state in (
    'dry_run', 'refused', 'proposed', 'pending', 'revoked', 'confirmed', 'failed', 'restoring', 'restored'
  )
);

-- What was revoked before keyhound watched is watched from now on.
update revocation set means = 'disable', revoked_at = updated_at, effective_from = updated_at where state = 'revoked';

drop index revocation_standing;
create unique index revocation_standing on revocation (key_id)
  where state in ('proposed', 'pending', 'revoked', 'confirmed', 'restoring');
comment on index revocation_standing is
  'revocation-store.ts: the one revocation of a key that stands (the database allows no second); watched-keys.ts: all that are watched';
create index revocation_restore on revocation (restore_at) where restore_at is not null;
comment on index revocation_restore is 'operator-wish.ts: revocations that end by themselves';
create index revocation_created on revocation (created_at desc, id desc);
comment on index revocation_created is 'revocation-store.ts: revocations, newest first';

-- ---------------------------------------------------------------------------------------------------------------
-- Halts
-- ---------------------------------------------------------------------------------------------------------------

-- Times in which the policy revokes nothing by itself: an operator said so, or what is seen cannot be trusted.
create table response_halt (
  id uuid primary key,
  cause text not null check (cause in ('operator', 'ingest_lag', 'many_keys')),
  reason text not null,
  actor text not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  ended_by text,
  check ((ended_at is null) = (ended_by is null))
);
comment on index response_halt_pkey is 'halts.ts: a halt by its id';
create unique index response_halt_open on response_halt (cause) where ended_at is null;
comment on index response_halt_open is 'halts.ts: halts in force; the database allows one a cause';

-- ---------------------------------------------------------------------------------------------------------------
-- Messages
-- ---------------------------------------------------------------------------------------------------------------

alter table delivery drop constraint delivery_type_check;
alter table delivery add constraint delivery_type_check check (
  type in (
    'alert.opened', 'alert.repeated', 'alert.acknowledged', 'alert.resolved', 'key.revocation_proposed', 'key.revoked',
    'key.revocation_confirmed', 'key.revocation_failed', 'key.restored'
  )
);
