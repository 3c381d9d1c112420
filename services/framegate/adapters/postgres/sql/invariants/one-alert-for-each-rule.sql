-- an image raises at most one alert for each rule
select image_id::text || ' ' || rule from alert_outbox
where image_id is not null
group by facility_id, image_id, rule having count(*) > 1
