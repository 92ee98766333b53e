UPDATE onceward_keys SET lease_until = ?4, expires_at = max(expires_at, ?4)
WHERE id = ?1 AND token = ?2 AND owner = ?3 AND status = 'STARTED';
