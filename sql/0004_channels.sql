-- Channels: what they left behind, how they do, and who stands in for one that is broken.

alter table delivery
  -- Where the other side keeps the message, in the channel's own words: what the next one of the incident changes.
  add column message_ref text,
  -- The channel that could not deliver it, when this one stands in.
  add column instead_of text,
  -- When another channel was asked to stand in, or none was needed: each message is handed over once.
  add column handed_over_at timestamptz;

create index delivery_failed on delivery (settled_at) where state = 'failed';
comment on index delivery_failed is
  'hand-over.ts: what failed and another channel must tell; channel-works.ts: what is sent again when the channel works';

-- How a channel does. Shared by all replicas: the pace of a channel, and a pause that it asked for, hold for all of them.
create table channel_state (
  channel text primary key,
  -- Before this nothing is sent on it: the time between two messages, or the pause that the other side asked for.
  free_at timestamptz,
  -- Since when every try has failed, and how many.
  failing_since timestamptz,
  failures integer not null default 0,
  -- Since when it is broken: refused for good, or failing for long. Null while it works.
  broken_at timestamptz,
  -- True when the other side refused for good: nothing is sent but probes.
  refused boolean not null default false,
  last_error text,
  -- When, and on which channel, people were told that it is broken.
  told_at timestamptz,
  told_on text,
  -- Until then one replica is telling it.
  telling_until timestamptz,
  -- When it is tried again, and how often it has been since it broke.
  probe_at timestamptz,
  probes integer not null default 0,
  last_delivered_at timestamptz
) with (fillfactor = 70);
comment on index channel_state_pkey is 'delivery-store.ts: the turn of a channel; channel-state-store.ts: all of them';
