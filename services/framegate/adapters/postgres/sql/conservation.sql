-- Where every accepted image is, counted from the rows themselves in one snapshot.
select
  (select count(*) from images where facility_id = %(facility)s or %(facility)s is null),
  coalesce(sum(n) filter (where state = 'decided'), 0)::bigint,
  coalesce(sum(n) filter (where state = 'rejected'), 0)::bigint,
  coalesce(sum(n) filter (where state = 'failed'), 0)::bigint,
  (select count(*) from progress where facility_id = %(facility)s or %(facility)s is null),
  (
    select count(*) from images i
    where (i.facility_id = %(facility)s or %(facility)s is null)
      and not exists (select from outcomes o where o.facility_id = i.facility_id and o.image_id = i.image_id)
      and not exists (select from progress p where p.facility_id = i.facility_id and p.image_id = i.image_id)
  ),
  coalesce(sum(n) filter (where verdict = 'pass'), 0)::bigint,
  coalesce(sum(n) filter (where verdict = 'fail'), 0)::bigint,
  coalesce(sum(n) filter (where verdict = 'review'), 0)::bigint
from (
  select state, verdict, count(*) as n from outcomes
  where facility_id = %(facility)s or %(facility)s is null
  group by state, verdict
) ends
