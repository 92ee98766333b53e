SELECT token FROM {schema}.onceward_buckets WHERE bucket = $1::smallint FOR SHARE;
