UPDATE {schema}.onceward_losses SET acknowledged_at = $1::timestamptz
WHERE acknowledged_at IS NULL AND ($2::uuid[] IS NULL OR id = ANY ($2::uuid[]));
