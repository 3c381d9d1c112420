-- Puts dead letters (null: all of them) back as new messages.
with risen as (
  delete from dead_letters where %(ids)s::bigint[] is null or id = any (%(ids)s::bigint[])
  returning id, queue, body
),
sent as (insert into queue_messages (queue, body) select queue, body from risen order by id)
select queue from risen
