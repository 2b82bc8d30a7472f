-- Conversations of dialects that have episodes: their state, and of it what is
-- asked for. All of it is null in other dialects, whose rows are in none of the
-- indexes.
alter table conversations
    add column state         jsonb,        -- the current or last episode
    add column queue_id      bigint,       -- where it waits, null when it does not
    add column priority      int,          -- there
    add column waiting_since timestamptz,
    add column wait_until    timestamptz,  -- end of the longest wait there, null when there is none
    add column timer         text collate "C", -- which closing timer runs: 'agent', 'bot', or '' when none does
    add column timer_at      timestamptz,  -- since when
    add column close_at      timestamptz,  -- its end, by the terms it was started with
    add column tags          bigint[];
create index conversations_closing on conversations (close_at) where close_at is not null;
create index conversations_overdue on conversations (wait_until) where wait_until is not null;
create index conversations_waiting on conversations (account, queue_id, priority desc, waiting_since)
    where queue_id is not null;
create index conversations_timed on conversations (channel_id, timer, timer_at)
    where status = 'open' and state is not null;
create index conversations_busy on conversations (account, agent_id)
    where status = 'open' and handler = 'agent' and state is not null;

alter table messages add column sender jsonb; -- who speaks, in dialects that tell

-- Deliveries go to targets: a channel's callback, or a function of its account.
alter table deliveries
    add column kind    text collate "C" not null default 'message',
    add column subject json, -- what it is about besides its content, where there is more
    add column target  text collate "C" not null generated always as (split_part(lane, '/', 1)) stored;
drop index deliveries_heads;
create index deliveries_heads on deliveries (partition, target, state, due) where head;
create index deliveries_kinds on deliveries (account, kind, created_at, id) where kind <> 'message';
-- The newest outcomes of a channel's callback, where a refusal tells of a wrong secret.
create index deliveries_settled on deliveries (channel_id, settled_at)
    where dialect not in ('respondio', 'ismessenger') and kind <> 'function' and settled_at is not null;

-- What the deliveries projection knows of conversations of dialects that have
-- episodes: its own fold of the same events that conversations.state comes from.
create table delivery_episodes (
    conversation_id uuid primary key,
    function_lane   text collate "C" not null, -- of the function that handles or last handled it, '' = none did
    state           json not null
) with (fillfactor = 70);

-- The last numbers that accounts have been given for things that are named by
-- numbers. No projection: the log knows which of them exist.
create table numbers (
    account text   not null,
    kind    text   not null,
    last    bigint not null,
    primary key (account, kind)
) with (fillfactor = 50);

-- Who may append an event that timers call for: one process at a time. No
-- projection either; what is lost is claimed again.
create table timer_claims (
    id    uuid        primary key, -- of the event
    until timestamptz not null
);
create index timer_claims_age on timer_claims (until);

---- create above / drop below ----

drop table timer_claims;
drop table numbers;
drop table delivery_episodes;
drop index deliveries_settled;
drop index deliveries_kinds;
drop index deliveries_heads;
create index deliveries_heads on deliveries (partition, channel_id, state, due) where head;
alter table deliveries drop column target, drop column subject, drop column kind;
alter table messages drop column sender;
drop index conversations_busy;
drop index conversations_timed;
drop index conversations_waiting;
drop index conversations_overdue;
drop index conversations_closing;
alter table conversations
    drop column tags, drop column close_at, drop column timer_at, drop column timer, drop column wait_until,
    drop column waiting_since, drop column priority, drop column queue_id, drop column state;
