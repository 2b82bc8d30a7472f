-- Which record each checkpoint was moved over last, so that a log that was cut and
-- has grown again is told from the one that the rows were built from. An earlier
-- Parley moves next alone: last_id counts only where last_offset is next - 1. Null
-- in rows from before.
alter table checkpoints add column last_offset bigint, add column last_id text;

---- create above / drop below ----

alter table checkpoints drop column last_offset, drop column last_id;
