-- One sweeper at a time, and none while tokens are chosen by the floor.
SELECT token FROM {schema}.onceward_buckets WHERE bucket = $1::smallint FOR UPDATE SKIP LOCKED;
