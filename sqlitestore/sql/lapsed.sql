SELECT seq, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
       claimed_at, lease_until, completed_at, expires_at, reason,
       resp_status, resp_tombstone, resp_header, resp_body, detail, checkpoints
FROM onceward_keys
WHERE status = 'STARTED' AND lease_until <= ?1 AND expires_at > ?1 AND policy = ?2
  AND (?3 IS NULL OR kind IN (SELECT value FROM json_each(?3)))
ORDER BY lease_until, seq LIMIT ?4;
