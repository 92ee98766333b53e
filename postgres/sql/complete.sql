-- That the token is a number is always true, and has a server without statistics
-- expect one row of u: it looks for that by its key, instead of reading all of the
-- bucket.
UPDATE {schema}.onceward_keys r
SET status = u.status, reason = u.reason, completed_at = u.completed_at, expires_at = u.expires_at,
    due = CASE WHEN u.status = 'HELD' THEN 'infinity' ELSE u.expires_at END,
    resp_status = u.resp_status, resp_tombstone = u.resp_tombstone, resp_header = u.resp_header, resp_body = u.resp_body
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
            $9::integer[], $10::boolean[], $11::bytea[], $12::bytea[])
  AS u (id, token, owner, status, reason, completed_at, expires_at, resp_status, resp_tombstone, resp_header, resp_body)
WHERE r.bucket = $1::smallint AND r.id = u.id AND r.token = u.token AND r.owner = u.owner AND r.status = 'STARTED'
  AND u.token BETWEEN -9223372036854775808 AND 9223372036854775807
RETURNING r.id;
