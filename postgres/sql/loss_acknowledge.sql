UPDATE {schema}.onceward_losses SET acknowledged_at = $1::timestamptz WHERE acknowledged_at IS NULL;
