-- Which of these completions had been made before.
select c.n
from json_to_recordset(%(completions)s::json) as c (n integer, facility text, image uuid, token uuid)
where exists (
  select from progress p
  where p.facility_id = c.facility and p.image_id = c.image and c.token = any (p.done_tokens)
) or exists (
  select from outcomes o
  where o.facility_id = c.facility and o.image_id = c.image and c.token = any (o.completed_by)
)
