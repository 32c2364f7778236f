-- What the sources' counters were at the last look, after event `seq`: written with every look, apart from the snapshot,
-- which is larger and follows from the events. Without it counting begins anew.
create table samples (
    rollout text primary key not null references rollout (id) on delete cascade,
    seq integer not null,
    body text not null
) strict, without rowid;
