INSERT INTO {schema}.onceward_losses (id, instance, detected_at, detail)
VALUES ($1::uuid, $2::uuid, $3::timestamptz, $4::text);
