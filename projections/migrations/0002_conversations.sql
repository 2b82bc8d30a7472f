-- Contacts, conversations and messages. What may be relied on in queries of
-- one's own is told in docs/read-models.md.

-- How searches fold capitals, whatever the database was made with. Keys are
-- compared byte by byte instead.
do $$
begin
    create collation search_text (provider = icu, locale = 'und');
exception when others then -- this server was built without ICU
    begin
        create collation search_text from "C.utf8";
    exception when others then
        create collation search_text from "default";
    end;
end
$$;

create table contacts (
    id           uuid        primary key,
    account      text collate "C" not null,
    channel_id   text collate "C" not null,
    ref          text collate "C" not null,
    profile      jsonb       not null,
    display_name text        not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index contacts_newest on contacts (account, created_at, id);
create index contacts_of_channel on contacts (channel_id, created_at, id);
create index contacts_ref on contacts (account, ref);

create table conversations (
    id              uuid        primary key,
    account         text collate "C" not null,
    channel_id      text collate "C" not null,
    contact_id      uuid        not null,
    contact_ref     text collate "C" not null,
    status          text        not null,
    episode         int         not null,
    handler         text        not null,
    agent_id        text        not null,
    messages        int         not null,
    last_message_id uuid        not null,
    last_text       text        not null,
    last_message_at timestamptz not null,
    opened_at       timestamptz not null,
    closed_at       timestamptz,
    close_reason    text        not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
create index conversations_active on conversations (account, last_message_at, id);
create index conversations_open on conversations (account, last_message_at, id) where status = 'open';
create index conversations_of_channel on conversations (channel_id, last_message_at, id);
create index conversations_of_contact on conversations (contact_id);

create table messages (
    id              uuid        primary key,
    conversation_id uuid        not null,
    account         text collate "C" not null,
    channel_id      text collate "C" not null,
    partition       int         not null,
    "offset"        bigint      not null,
    direction       text        not null,
    kind            text        not null,
    content         jsonb       not null,
    external_id     text collate "C" not null,
    status          text        not null,
    reason          text        not null,
    status_history  jsonb       not null,
    author          text        not null,
    sent_at         timestamptz not null,
    recorded_at     timestamptz not null
);
create index messages_timeline on messages (conversation_id, partition, "offset");
create index messages_external on messages (conversation_id, external_id)
    where direction = 'out' and external_id <> '';

-- Receipts that came before the answer that names their message.
create table early_receipts (
    id              uuid        primary key,
    conversation_id uuid        not null,
    external_id     text collate "C" not null,
    value           text        not null,
    reason          text        not null,
    occurred_at     timestamptz not null,
    recorded_at     timestamptz not null,
    partition       int         not null,
    "offset"        bigint      not null
);
create index early_receipts_external on early_receipts (conversation_id, external_id);
create index early_receipts_age on early_receipts (partition, recorded_at);

---- create above / drop below ----

drop table early_receipts;
drop table messages;
drop table conversations;
drop table contacts;
drop collation search_text;
