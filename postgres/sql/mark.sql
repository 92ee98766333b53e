-- Counts the batch. Dividing by zero undoes it: the count is below what was
-- acknowledged, or a token that was proposed is not above one that was swept.
UPDATE {schema}.onceward_marks m
SET batch = m.batch + 1 / (CASE WHEN m.batch >= $3::bigint AND b.token < $4::bigint THEN 1 ELSE 0 END),
    stamped_at = $5::timestamptz
FROM {schema}.onceward_buckets b
WHERE m.bucket = $1::smallint AND m.instance = $2::uuid AND b.bucket = $1::smallint
RETURNING m.batch;
