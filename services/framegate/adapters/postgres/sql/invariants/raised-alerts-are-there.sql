-- the alerts that an outcome raised are there, and no others but people's (outcomes of before they were counted: unknown)
select o.image_id::text from outcomes o
where o.alerts is not null and o.alerts <> (
  select count(*) from alert_outbox a
  where a.facility_id = o.facility_id and a.image_id = o.image_id and not a.payload ? 'review'
)
