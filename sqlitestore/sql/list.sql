SELECT seq, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
       claimed_at, lease_until, completed_at, expires_at, reason,
       resp_status, resp_tombstone, resp_header, NULL, NULL, NULL
FROM onceward_keys
WHERE seq < ?1 AND expires_at > ?2
  AND (?3 = '' OR kind = ?3) AND (?4 IS NULL OR scope = ?4)
  AND (?5 = '' OR status = ?5)
ORDER BY seq DESC LIMIT ?6;
