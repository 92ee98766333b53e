SELECT id, instance, detected_at, detail, acknowledged_at
FROM {schema}.onceward_losses ORDER BY detected_at DESC, id LIMIT 100;
