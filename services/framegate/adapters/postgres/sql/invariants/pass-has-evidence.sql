-- no image passes without a prepared frame and a model that is known by its digest
select image_id::text from outcomes
where verdict = 'pass' and (prepared is null or model is null or model_sha256 is null)
