-- Moves one message to the dead letters.
with gone as (
  delete from queue_messages where id = %(id)s and receipt = %(receipt)s
  returning queue, body, receive_count, enqueued_at
)
insert into dead_letters (queue, body, cause, receive_count, enqueued_at)
select queue, body, %(cause)s, receive_count, enqueued_at from gone
