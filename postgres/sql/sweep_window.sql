SELECT count(*), min(due), max(due)
FROM (SELECT due FROM {schema}.onceward_keys
      WHERE bucket = $1::smallint AND due > $2::timestamptz AND due <= $3::timestamptz AND expires_at <= $3::timestamptz
      ORDER BY due LIMIT $4::bigint) w;
