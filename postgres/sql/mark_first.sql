-- The first batch of this store in the bucket. Dividing by zero undoes the
-- batch: a token that was proposed is not above one that was swept meanwhile.
INSERT INTO {schema}.onceward_marks AS m (bucket, instance, batch, stamped_at)
SELECT b.bucket, $2::uuid, 1 / (CASE WHEN b.token < $3::bigint THEN 1 ELSE 0 END), $4::timestamptz
FROM {schema}.onceward_buckets b WHERE b.bucket = $1::smallint
ON CONFLICT (bucket, instance) DO UPDATE SET batch = m.batch + 1, stamped_at = EXCLUDED.stamped_at
RETURNING m.batch;
