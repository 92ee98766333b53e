-- More records than may be deleted at once are due at the same moment.
DELETE FROM {schema}.onceward_keys
WHERE bucket = $1::smallint AND expires_at <= $3::timestamptz AND id = ANY (
  ARRAY(SELECT id FROM {schema}.onceward_keys
        WHERE bucket = $1::smallint AND due = $2::timestamptz AND expires_at <= $3::timestamptz LIMIT $4::bigint))
RETURNING token;
