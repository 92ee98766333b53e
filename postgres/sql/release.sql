-- The row stays, so that the next claim continues its tokens. It expired in
-- 1970: absent at once, whatever the clock of the next claimant says.
-- That the token is a number is always true, and has a server without statistics
-- expect one row of u: it looks for that by its key, instead of reading all of the
-- bucket.
UPDATE {schema}.onceward_keys r
SET owner = '00000000-0000-0000-0000-000000000000', checkpoints = NULL, detail = NULL,
    lease_until = 'epoch', expires_at = 'epoch', due = u.released_at
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[]) AS u (id, token, owner, released_at)
WHERE r.bucket = $1::smallint AND r.id = u.id AND r.token = u.token AND r.owner = u.owner AND r.status = 'STARTED'
  AND u.token BETWEEN -9223372036854775808 AND 9223372036854775807
RETURNING r.id;
