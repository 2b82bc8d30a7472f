-- Outbound events on their way to callbacks. Rows are written by the deliveries
-- projection only; the worker reads them and holds a lease.
create table deliveries (
    id              uuid        primary key,
    partition       int         not null,
    "offset"        bigint      not null, -- of the outbound event: orders the lane
    account         text collate "C" not null,
    channel_id      text collate "C" not null,
    lane            text collate "C" not null, -- the stream: channel id, slash, contact reference
    dialect         text        not null,
    message_id      uuid        not null,
    conversation_id uuid        not null,
    content         json        not null, -- never searched, so not jsonb
    state           text collate "C" not null,
    parked          boolean     not null,
    blocks          boolean     not null, -- open or parked: followers in the lane wait
    head            boolean     not null, -- the first of its lane that blocks
    attempts        int         not null,
    tries           int         not null,
    last_reason     text        not null,
    last_detail     text        not null,
    created_at      timestamptz not null,
    due             timestamptz not null, -- next_attempt_at, or created_at while not tried
    first_tried_at  timestamptz,
    next_attempt_at timestamptz,
    settled_at      timestamptz
);
-- What a lane has to do, in order.
create index deliveries_lane on deliveries (lane, "offset") where blocks;
-- What a partition has to do: one row a lane, so a backlog behind a head costs nothing.
create index deliveries_heads on deliveries (partition, channel_id, state, due) where head;
-- Lists, newest first: read backwards, so that new entries come at the end.
create index deliveries_account on deliveries (account, created_at, id);
create index deliveries_channel on deliveries (channel_id, created_at, id);
create index deliveries_unsettled on deliveries (account, state, created_at, id) where state <> 'delivered';

-- Every call that was made, for inspection.
create table delivery_attempts (
    delivery_id  uuid        not null,
    number       int         not null,
    started_at   timestamptz not null,
    duration_ms  bigint      not null,
    verdict      text        not null,
    reason       text        not null,
    http_status  int         not null,
    detail       text        not null,
    response     text        not null,
    primary key (delivery_id, number)
);

-- How many deliveries of a partition are in a state: kept with the rows, in the
-- same transaction, so that asking costs nothing.
create table delivery_depth (
    partition int    not null,
    state     text   not null,
    n         bigint not null,
    primary key (partition, state)
) with (fillfactor = 50);

-- Who may send a partition's callbacks. Time is the database's. The epoch counts
-- owners, so a lease that was lost and taken again is told from one that was kept.
create table delivery_leases (
    partition int         primary key,
    owner     text        not null,
    epoch     bigint      not null,
    until     timestamptz not null
) with (fillfactor = 50);

---- create above / drop below ----

drop table delivery_leases;
drop table delivery_depth;
drop table delivery_attempts;
drop table deliveries;
