-- All times are milliseconds since the Unix epoch. Bodies are JSON.

-- One row for each rollout: what a listing shows. Kept in the same transaction as the events it sums up.
create table rollout (
    id text primary key not null,
    app text not null,
    baseline integer not null,
    canary integer not null,
    policy text not null,
    phase text not null,
    started integer not null,
    ended integer,
    summary text not null
) strict, without rowid;

create index rollout_started on rollout (started);
create index rollout_of_app on rollout (app, started);
create index rollout_unfinished on rollout (started) where ended is null;

-- The journal. A rollout's state is the fold of its events.
create table event (
    rollout text not null references rollout (id) on delete cascade,
    seq integer not null check (seq > 0),
    at integer not null,
    kind text not null,
    body text not null,
    primary key (rollout, seq)
) strict, without rowid;

-- The last event of each kind is found without reading the bodies in between.
create index event_of_kind on event (rollout, kind, seq);

-- A cache of the fold: the state after event `seq`. May be deleted at any time.
create table snapshot (
    rollout text primary key not null references rollout (id) on delete cascade,
    seq integer not null,
    body text not null
) strict, without rowid;

-- Messages to receivers, written together with the events that they tell of.
create table outbox (
    receiver text not null,
    id text not null,
    rollout text not null references rollout (id) on delete cascade,
    at integer not null,
    body text not null,
    attempts integer not null default 0,
    next_at integer not null,
    delivered_at integer,
    given_up_at integer,
    last_error text not null default '',
    primary key (receiver, id)
) strict, without rowid;

create index outbox_pending on outbox (receiver, next_at) where delivered_at is null and given_up_at is null;
create index outbox_of_rollout on outbox (rollout);

-- How far something outside has been read, by name.
create table cursor (
    name text primary key not null,
    value text not null
) strict, without rowid;
