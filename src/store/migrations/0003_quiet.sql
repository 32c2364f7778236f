-- What the daemon saw of apps while nothing was rolled out: their noise is learnt from it before it is needed.
create table quiet_app (
    app text primary key not null,
    version integer not null,
    -- The policy whose signals were watched.
    policy text not null
) strict, without rowid;

create table quiet_look (
    app text not null references quiet_app (app) on delete cascade,
    at integer not null,
    body text not null,
    primary key (app, at)
) strict, without rowid;
