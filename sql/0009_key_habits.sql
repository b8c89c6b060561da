-- What a key tells of its fleet: written when a day of the key has been learnt, read by whoever judges a key that has no
-- history of its own yet. A few hundred bytes, where a profile has thousands.
create table key_habit (
  key_id text collate "C" primary key,
  learned_until timestamptz not null,
  habit jsonb not null
) with (fillfactor = 70);
comment on index key_habit_pkey is 'key-habits.ts: what a key tells, and all of them in order of key';
