SELECT batch FROM {schema}.onceward_marks WHERE bucket = $1::smallint AND instance = $2::uuid;
