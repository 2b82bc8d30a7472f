-- Redrives as jobs. No projection: a job is not in the log, only what it appends.
create table redrive_jobs (
    id          uuid        primary key,
    account     text collate "C" not null,
    channel_id  text        not null, -- the filter: '' and null do not narrow
    from_at     timestamptz,
    to_at       timestamptz,
    reason      text        not null,
    kind        text        not null,
    state       text        not null,
    total       bigint      not null,
    redriven    bigint      not null default 0,
    skipped     bigint      not null default 0,
    by          text        not null,
    error       text        not null default '',
    created_at  timestamptz not null, -- what died later is left alone
    updated_at  timestamptz not null,
    finished_at timestamptz,
    plan        jsonb,      -- a page that is appended and not counted yet
    owner       text        not null default '', -- who works on it, until lease_until by the database's clock
    epoch       bigint      not null default 0,  -- counts owners
    lease_until timestamptz not null default '-infinity',
    turn_at     timestamptz not null default '-infinity' -- when somebody last began to work on it
);
create index redrive_jobs_account on redrive_jobs (account, created_at, id);
create index redrive_jobs_running on redrive_jobs (turn_at) where state = 'running' or plan is not null;

-- How far a job is with each target. The cursor is a place in the order of
-- offsets, which within a conversation is that of the log.
create table redrive_targets (
    job         uuid   not null references redrive_jobs on delete cascade,
    target      text collate "C" not null,
    "offset"    bigint not null default -1,
    partition   int    not null default -1,
    total       bigint not null,
    redriven    bigint not null default 0,
    done        boolean not null default false,
    primary key (job, target)
) with (fillfactor = 50);

-- Dead letters in the order in which they are redriven, and what was redriven and
-- waits for its first try: both are empty as long as all goes well.
create index deliveries_dead on deliveries (account, target, "offset", partition) where state = 'dead';
create index deliveries_redriven on deliveries (account, target) where state = 'pending' and attempts > 0;

---- create above / drop below ----

drop index deliveries_redriven;
drop index deliveries_dead;
drop table redrive_targets;
drop table redrive_jobs;
