-- Dead letters, newest first; only the one with this id, when one is given.
select id::text, queue, body, cause, receive_count, died_at
from dead_letters
where %(id)s::bigint is null or id = %(id)s::bigint
order by id desc
limit %(max)s
