-- First answers to requests that named themselves with an Idempotency-Key. This is
-- no read model: it is not rebuilt from the log. Answers are sealed.
create table idempotency_keys (
    account       text        not null,
    key           text        not null,
    fingerprint   bytea       not null,
    token         text        not null,
    leased_until  timestamptz not null,
    answer        bytea,
    created_at    timestamptz not null default now(),
    primary key (account, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

---- create above / drop below ----

drop table idempotency_keys;
