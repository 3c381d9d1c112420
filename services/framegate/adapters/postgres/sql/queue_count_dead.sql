-- How many of the newest dead letters belong to each queue.
select queue, count(*) from (select queue from dead_letters order by id desc limit %(max)s) newest
group by queue order by queue
