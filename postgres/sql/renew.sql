-- That the token is a number is always true, and has a server without statistics
-- expect one row of u: it looks for that by its key, instead of reading all of the
-- bucket.
UPDATE {schema}.onceward_keys r
SET lease_until = u.lease_until, due = u.lease_until, expires_at = GREATEST(r.expires_at, u.lease_until)
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[]) AS u (id, token, owner, lease_until)
WHERE r.bucket = $1::smallint AND r.id = u.id AND r.token = u.token AND r.owner = u.owner AND r.status = 'STARTED'
  AND u.token BETWEEN -9223372036854775808 AND 9223372036854775807
RETURNING r.id;
