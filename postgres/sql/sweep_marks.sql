DELETE FROM {schema}.onceward_marks WHERE bucket = $1::smallint AND stamped_at < $2::timestamptz;
