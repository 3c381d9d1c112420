-- The files of these images are gone. By the primary key: a condition on `done_at` would tempt the planner to another index.
update erasures e set done_at = coalesce(done_at, clock_timestamp())
from unnest(%(facilities)s::text[], %(images)s::uuid[]) as gone (facility, image)
where e.facility_id = gone.facility and e.image_id = gone.image and e.part = 'original'
