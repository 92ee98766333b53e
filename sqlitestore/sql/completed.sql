-- Whether this very claim has already ended the record this way.
SELECT count(*) FROM onceward_keys WHERE id = ?1 AND token = ?2 AND owner = ?3 AND status = ?4;
