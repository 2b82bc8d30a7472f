-- Deliveries to subscriptions say nothing of a channel's callback.
drop index deliveries_settled;
create index deliveries_settled on deliveries (channel_id, settled_at)
    where dialect not in ('respondio', 'ismessenger') and kind not in ('function', 'subscription') and settled_at is not null;

---- create above / drop below ----

drop index deliveries_settled;
create index deliveries_settled on deliveries (channel_id, settled_at)
    where dialect not in ('respondio', 'ismessenger') and kind <> 'function' and settled_at is not null;
