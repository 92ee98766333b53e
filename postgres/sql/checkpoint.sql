-- The stamp keeps a statement that was stuck in a broken connection from
-- replacing the checkpoints that the same claim has made since.
-- That the token is a number is always true, and has a server without statistics
-- expect one row of u: it looks for that by its key, instead of reading all of the
-- bucket.
UPDATE {schema}.onceward_keys r
SET checkpoints = u.checkpoints, stamp = u.stamp
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bytea[], $6::bigint[]) AS u (id, token, owner, checkpoints, stamp)
WHERE r.bucket = $1::smallint AND r.id = u.id AND r.token = u.token AND r.owner = u.owner AND r.status = 'STARTED'
  AND r.stamp <= u.stamp
  AND u.token BETWEEN -9223372036854775808 AND 9223372036854775807
RETURNING r.id;
