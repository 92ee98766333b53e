SELECT seq, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
       claimed_at, lease_until, completed_at, expires_at, reason,
       resp_status, resp_tombstone, resp_header, resp_body, detail, checkpoints
FROM onceward_keys WHERE id = ?1;
