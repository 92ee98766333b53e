SELECT id, lease_until
FROM {schema}.onceward_keys
WHERE bucket = $1::smallint AND due <= $2::timestamptz AND status = 'STARTED' AND lease_until <= $2::timestamptz
  AND expires_at > $2::timestamptz AND policy = $3::text AND ($4::text[] IS NULL OR kind = ANY ($4::text[]))
ORDER BY due, seq LIMIT $5::bigint;
