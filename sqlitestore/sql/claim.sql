-- A returned row means that the key was won. Beginning afresh, because the old
-- record has expired, and taking over differ in what they keep.
INSERT INTO onceward_keys AS r
  (id, scope, key, status, token, owner, attempt, kind, policy, fingerprint,
   retention_ns, detail, claimed_at, lease_until, expires_at)
VALUES
  (?1, ?2, ?3, 'STARTED', max(?4, (SELECT token FROM onceward_floor) + 1), ?5, 1, ?6, ?7, ?8,
   ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (id) DO UPDATE SET
  seq          = CASE WHEN r.expires_at <= ?11 THEN (SELECT max(seq) + 1 FROM onceward_keys) ELSE r.seq END,
  attempt      = CASE WHEN r.expires_at <= ?11 THEN 1    ELSE r.attempt + 1 END,
  kind         = CASE WHEN r.expires_at <= ?11 THEN ?6   ELSE r.kind END,
  policy       = CASE WHEN r.expires_at <= ?11 OR r.status = 'HELD' THEN ?7 ELSE r.policy END,
  fingerprint  = CASE WHEN r.expires_at <= ?11 THEN ?8   ELSE r.fingerprint END,
  retention_ns = CASE WHEN r.expires_at <= ?11 THEN ?9   ELSE r.retention_ns END,
  detail       = CASE WHEN r.expires_at <= ?11 THEN ?10  ELSE r.detail END,
  claimed_at   = CASE WHEN r.expires_at <= ?11 THEN ?11  ELSE r.claimed_at END,
  expires_at   = CASE WHEN r.expires_at <= ?11 THEN ?13  ELSE max(r.expires_at, ?13) END,
  checkpoints  = CASE WHEN r.expires_at <= ?11 THEN NULL ELSE r.checkpoints END,
  status = 'STARTED', token = max(?4, r.token + 1), owner = ?5, lease_until = ?12,
  reason = '', completed_at = NULL,
  resp_status = NULL, resp_tombstone = 0, resp_header = NULL, resp_body = NULL
WHERE r.scope = ?2 AND r.key = ?3
  AND (r.expires_at <= ?11
    OR (r.fingerprint = ?8
      AND ((r.status = 'STARTED' AND r.owner <> ?5 AND r.lease_until <= ?11)
        OR (r.status = 'HELD' AND ?14))))
RETURNING token, attempt;
