UPDATE {schema}.onceward_buckets SET token = GREATEST(token, $2::bigint) WHERE bucket = $1::smallint;
