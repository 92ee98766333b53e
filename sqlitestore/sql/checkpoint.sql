UPDATE onceward_keys SET checkpoints = ?4
WHERE id = ?1 AND token = ?2 AND owner = ?3 AND status = 'STARTED';
