-- no image is convicted without three crashes alone
select image_id::text from outcomes where state = 'failed' and reason = 'poison' and crashes < 3
