-- The expiry stands in the DELETE itself: what was claimed again is not deleted.
DELETE FROM {schema}.onceward_keys
WHERE bucket = $1::smallint AND due > $2::timestamptz AND due < $3::timestamptz AND expires_at <= $4::timestamptz
RETURNING token;
