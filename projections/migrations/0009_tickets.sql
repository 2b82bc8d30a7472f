-- People, tickets and posts: what dialects that number their conversations show of
-- them. state is the whole thing as the events tell it; the other columns are what is
-- searched and sorted by. What was removed leaves its id and revision behind, so that
-- an event that is told again does not bring it back.
create table people (
    id               bigint      primary key,
    account          text collate "C" not null,
    revision         int         not null,
    removed          boolean     not null default false,
    name             text        not null,
    email            text collate "C" not null,
    phone            text collate "C" not null,
    identifier       text collate "C" not null,
    labels           text[]      not null,
    created_at       timestamptz not null,
    last_activity_at timestamptz, -- of what they wrote themselves; null = never
    state            jsonb       not null
);
-- Values may be longer than an index entry, so their hashes are kept.
create index people_email on people (account, hashtextextended(email, 0)) where email <> '' and not removed;
create index people_phone on people (account, hashtextextended(phone, 0)) where phone <> '' and not removed;
create index people_identifier on people (account, hashtextextended(identifier, 0)) where identifier <> '' and not removed;
create index people_newest on people (account, created_at, id) where not removed;
create index people_listed on people (account, created_at, id)
    where not removed and (email <> '' or phone <> '' or identifier <> '');

create table identities (
    id         bigint      primary key,
    account    text collate "C" not null,
    channel_id text collate "C" not null,
    person_id  bigint      not null,
    revision   int         not null,
    removed    boolean     not null default false,
    source_id  text collate "C" not null,
    verified   boolean     not null,
    claimed    boolean     not null,
    token_hash text collate "C" not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index identities_source on identities (channel_id, hashtextextended(source_id, 0)) where not removed;
create index identities_of_account on identities (account, hashtextextended(source_id, 0)) where not removed;
create index identities_of_person on identities (person_id, id) where not removed;
create index identities_token on identities (hashtextextended(token_hash, 0)) where not removed;

create table tickets (
    id               uuid        primary key,
    account          text collate "C" not null,
    number           bigint      not null,
    channel_id       text collate "C" not null,
    identity_id      bigint      not null,
    revision         int         not null,
    removed          boolean     not null default false,
    status           text collate "C" not null,
    priority         int         not null, -- 0 = none, then lowest first
    assignee         bigint      not null, -- 0 = nobody
    team             bigint      not null, -- 0 = none
    labels           text[]      not null,
    unread           int         not null,
    waiting_since    timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    last_activity_at timestamptz not null,
    last_post        bigint      not null, -- 0 = none, as below
    last_said        bigint      not null,
    last_public      bigint      not null,
    state            jsonb       not null
);
create index tickets_number on tickets (account, number);
create index tickets_active on tickets (account, status, last_activity_at, number) where not removed;
create index tickets_latest on tickets (account, last_activity_at, number) where not removed;
create index tickets_of_identity on tickets (identity_id, number) where not removed;

create table posts (
    id         bigint      primary key,
    ticket     uuid        not null,
    message    uuid        not null,
    revision   int         not null,
    removed    boolean     not null default false,
    type       int         not null,
    private    boolean     not null,
    status     text collate "C" not null,
    source_id  text collate "C" not null,
    key        text collate "C" not null,
    file       bigint      not null, -- highest id of a file that it ever had, 0 = none
    created_at timestamptz not null,
    state      jsonb       not null
);
create index posts_timeline on posts (ticket, id) where not removed;
create index posts_time on posts (ticket, created_at) where not removed;
create index posts_source on posts (ticket, hashtextextended(source_id, 0), id) where source_id <> '' and not removed;
create index posts_key on posts (ticket, hashtextextended(key, 0)) where key <> '' and not removed;
create index posts_unread on posts (ticket, id)
    where type in (1, 3) and not private and status in ('sent', 'delivered') and not removed;
create index posts_file on posts (file) where file > 0;

-- Who is there. No projection: what is lost is told again within moments.
create unlogged table presence (
    account text collate "C" not null,
    kind    text collate "C" not null,
    id      bigint      not null,
    seen_at timestamptz not null,
    primary key (account, kind, id)
) with (fillfactor = 50);
create index presence_age on presence (seen_at);

-- The highest revisions that the deliveries projection knows of, of people, tickets
-- and posts: an event that decides about an older one tells nobody anything.
create table delivery_revisions (
    kind     text collate "C" not null, -- person, ticket or post
    id       uuid   not null,
    revision int    not null,
    error    text,            -- why the post failed, null = it has not
    primary key (kind, id)
) with (fillfactor = 70);

-- Notices to webhooks say nothing of a channel's callback.
drop index deliveries_settled;
create index deliveries_settled on deliveries (channel_id, settled_at)
    where dialect not in ('respondio', 'ismessenger') and target = channel_id and settled_at is not null;

---- create above / drop below ----

drop index deliveries_settled;
create index deliveries_settled on deliveries (channel_id, settled_at)
    where dialect not in ('respondio', 'ismessenger') and kind not in ('function', 'subscription') and settled_at is not null;
drop table delivery_revisions;
drop table presence;
drop table posts;
drop table tickets;
drop table identities;
drop table people;
