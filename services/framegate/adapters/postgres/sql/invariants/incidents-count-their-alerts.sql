-- an incident counts exactly the alerts that were taken into it (not the one that says that all is over)
select i.incident_id::text from incidents i
where i.images <> (select count(*) from alert_outbox a where a.incident_id = i.incident_id and not a.over)
