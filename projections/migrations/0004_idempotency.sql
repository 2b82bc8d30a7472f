-- Answers to writes of the platform API under the key that the caller gave
-- them. No projection: what is in here is not in the log, and is kept for a day.
create table idempotency (
    account     text        not null,
    key         text        not null,
    fingerprint bytea       not null, -- of the request
    token       uuid        not null, -- of who is at it, or was
    lease_until timestamptz not null,
    answer      bytea,                -- sealed; null while somebody is at it
    created_at  timestamptz not null,
    primary key (account, key)
);
create index idempotency_age on idempotency (created_at);

---- create above / drop below ----

drop table idempotency;
