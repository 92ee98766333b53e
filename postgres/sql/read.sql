-- Locking the rows takes a transaction id, so that the commit waits for the
-- standbys: what is answered from this is as durable as any write.
SELECT seq, id, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
       claimed_at, lease_until, completed_at, expires_at, reason,
       resp_status, resp_tombstone, resp_header, resp_body, detail, checkpoints
FROM {schema}.onceward_keys
WHERE bucket = $1::smallint AND id = ANY ($2::uuid[])
FOR KEY SHARE;
