SELECT count(*) FILTER (WHERE acknowledged_at IS NULL),
       coalesce(bool_or(id = $1::uuid AND acknowledged_at IS NOT NULL), false),
       min(detail) FILTER (WHERE acknowledged_at IS NULL)
FROM {schema}.onceward_losses;
