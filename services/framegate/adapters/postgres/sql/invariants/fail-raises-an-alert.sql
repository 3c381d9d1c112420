-- a failing verdict and a failure of ours are told, once (a reused outcome was told before)
select o.image_id::text from outcomes o
where (o.verdict = 'fail' or o.state = 'failed') and o.reused_from is null
  and not exists (select from alert_outbox a where a.facility_id = o.facility_id and a.image_id = o.image_id)
