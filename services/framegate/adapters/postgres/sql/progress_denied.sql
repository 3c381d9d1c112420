-- Why messages were not granted a claim: held by somebody, done or overtaken, or of no image at all.
select a.n, case when i.image_id is null then 'unknown' when p.image_id is null then 'stale' else 'busy' end
from json_to_recordset(%(messages)s::json) as a (n integer, facility text, image uuid, look integer)
left join images i on i.facility_id = a.facility and i.image_id = a.image
left join progress p
  on p.facility_id = a.facility and p.image_id = a.image and p.look = a.look and p.state = %(state)s
