UPDATE {schema}.onceward_keys r
SET lease_until = u.lease_until, due = u.lease_until, expires_at = GREATEST(r.expires_at, u.lease_until)
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[]) AS u (id, token, owner, lease_until)
WHERE r.bucket = $1::smallint AND r.id = u.id AND r.token = u.token AND r.owner = u.owner AND r.status = 'STARTED'
RETURNING r.id;
