-- Where every accepted image of each facility is, counted from the rows themselves in one snapshot, and kept.
with accepted as (select facility_id, count(*) as n from images group by 1),
ends as (
  select facility_id,
    sum(n) filter (where state = 'decided') as decided, sum(n) filter (where state = 'rejected') as rejected,
    sum(n) filter (where state = 'failed') as failed, sum(n) filter (where verdict = 'pass') as passes,
    sum(n) filter (where verdict = 'fail') as fails, sum(n) filter (where verdict = 'review') as reviews
  from (select facility_id, state, verdict, count(*) as n from outcomes group by 1, 2, 3) each
  group by 1
),
moving as (select facility_id, count(*) as n from progress group by 1),
lost as (
  select facility_id, count(*) as n, (array_agg(image_id order by image_id))[1:100] as ids from images i
  where not exists (select from outcomes o where o.facility_id = i.facility_id and o.image_id = i.image_id)
    and not exists (select from progress p where p.facility_id = i.facility_id and p.image_id = i.image_id)
  group by 1
)
insert into stock (
  facility_id, counted_at, accepted, decided, rejected, failed, in_flight, lost, passes, fails, reviews, missing
)
select
  f.id, statement_timestamp(), coalesce(accepted.n, 0), coalesce(decided, 0), coalesce(rejected, 0), coalesce(failed, 0),
  coalesce(moving.n, 0), coalesce(lost.n, 0), coalesce(passes, 0), coalesce(fails, 0), coalesce(reviews, 0),
  coalesce(lost.ids, '{}')
from facilities f
left join accepted on accepted.facility_id = f.id
left join ends on ends.facility_id = f.id
left join moving on moving.facility_id = f.id
left join lost on lost.facility_id = f.id
on conflict (facility_id) do update set
  counted_at = excluded.counted_at, accepted = excluded.accepted, decided = excluded.decided,
  rejected = excluded.rejected, failed = excluded.failed, in_flight = excluded.in_flight, lost = excluded.lost,
  passes = excluded.passes, fails = excluded.fails, reviews = excluded.reviews, missing = excluded.missing
returning accepted, decided, rejected, failed, in_flight, lost, passes, fails, reviews
