UPDATE onceward_keys
SET status = ?4, reason = ?5, completed_at = ?6, expires_at = ?7,
    resp_status = ?8, resp_tombstone = ?9, resp_header = ?10, resp_body = ?11
WHERE id = ?1 AND token = ?2 AND owner = ?3 AND status = 'STARTED';
