-- The dead letters of a channel, newest first: whatever other channels have.
create index deliveries_channel_dead on deliveries (channel_id, created_at, id) where state = 'dead';

---- create above / drop below ----

drop index deliveries_channel_dead;
