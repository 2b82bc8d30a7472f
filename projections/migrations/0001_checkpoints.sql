-- How far each projection has come in each partition of the log: next is the
-- first offset that is not applied yet. Rows and checkpoint move in one transaction.
create table checkpoints (
    projection  text        not null,
    partition   int         not null,
    next        bigint      not null,
    event_time  timestamptz,
    moved_at    timestamptz not null default now(),
    primary key (projection, partition)
);

-- Records that could not be applied, and the records of the same stream that
-- wait behind them, in order.
create table quarantine (
    projection  text        not null,
    partition   int         not null,
    "offset"    bigint      not null,
    stream      text        not null,
    error       text        not null, -- '' = only waits behind another
    record      jsonb       not null, -- id, envelope and value, each text in base64
    verdict     text        not null default '', -- 'skip' or 'retry', as an operator decided
    caught_at   timestamptz not null default now(),
    primary key (projection, partition, "offset")
);
create index quarantine_stream on quarantine (projection, partition, stream, "offset");

---- create above / drop below ----

drop table quarantine;
drop table checkpoints;
