SELECT count(*), min(due)
FROM (SELECT due FROM {schema}.onceward_keys
      WHERE bucket = $1::smallint AND due <= $2::timestamptz AND expires_at <= $2::timestamptz
      ORDER BY due LIMIT $3::bigint) w;
