-- Forgets messages that were sent. A removal that a crash undoes costs one more message each.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true))
delete from outbox using relaxed where id = any (%(ids)s::bigint[])
