-- From when on it is beyond a key's own habit not to be used: written with the profile, so that a tick finds the keys that
-- have just gone silent without reading those that are in use. Null for keys without a steady habit, and for profiles that
-- an older keyhound stored, until they learn their next hour.
alter table profile add column silent_from timestamptz;
create index profile_silent_from on profile (silent_from) where silent_from is not null;
comment on index profile_silent_from is 'silent-keys.ts: the keys that have gone silent within the last hours';
