-- How the attempts at each target have gone of late, by partition: what warns of an
-- endpoint that takes nothing. Attempts that no call was made for, and faults of
-- Parley, are in none of it.
create table delivery_endpoints (
    partition     int    not null,
    target        text   collate "C" not null,
    account       text   collate "C" not null,
    failing_since timestamptz, -- first failure after the last success; null when the last attempt was one
    failed_at     timestamptz, -- last failure
    failures      bigint not null default 0, -- since the last success
    last_reason   text   collate "C" not null default '', -- of the last failure
    succeeded_at  timestamptz, -- last success
    gone_at       timestamptz, -- last answer 410, if there was no success after it
    primary key (partition, target)
) with (fillfactor = 50);
create index delivery_endpoints_targets on delivery_endpoints (account, target);
create index delivery_endpoints_failing on delivery_endpoints (target) where failing_since is not null;

---- create above / drop below ----

drop table delivery_endpoints;
