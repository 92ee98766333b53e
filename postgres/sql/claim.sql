-- A returned row means that the key was won. Beginning afresh, because the old
-- record has expired, and taking over differ in what they keep. Times are
-- inserted first and compared as EXCLUDED: the condition stays immutable.
INSERT INTO {schema}.onceward_keys AS r
  (bucket, id, scope, key, status, token, owner, attempt, seq, kind, policy, fingerprint,
   retention_ns, detail, claimed_at, lease_until, expires_at, due)
SELECT $1::smallint, u.id, u.scope, u.key, 'STARTED', u.token, u.owner, 1, u.seq, u.kind, u.policy, u.fingerprint,
       u.retention_ns, u.detail, u.claimed_at, u.lease_until, u.expires_at, u.lease_until
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::bigint[], $8::text[], $9::text[], $10::bytea[],
            $11::bigint[], $12::bytea[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
  AS u (id, scope, key, token, owner, seq, kind, policy, fingerprint,
        retention_ns, detail, claimed_at, lease_until, expires_at)
ON CONFLICT (bucket, id) DO UPDATE SET
  seq          = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.seq          ELSE r.seq END,
  attempt      = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN 1                     ELSE r.attempt + 1 END,
  kind         = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.kind         ELSE r.kind END,
  policy       = CASE WHEN r.expires_at <= EXCLUDED.claimed_at OR r.status = 'HELD'
                                                               THEN EXCLUDED.policy       ELSE r.policy END,
  fingerprint  = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.fingerprint  ELSE r.fingerprint END,
  retention_ns = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.retention_ns ELSE r.retention_ns END,
  detail       = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.detail       ELSE r.detail END,
  claimed_at   = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.claimed_at   ELSE r.claimed_at END,
  checkpoints  = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN NULL                  ELSE r.checkpoints END,
  expires_at   = CASE WHEN r.expires_at <= EXCLUDED.claimed_at THEN EXCLUDED.expires_at
                      ELSE GREATEST(r.expires_at, EXCLUDED.expires_at) END,
  status = 'STARTED', token = GREATEST(r.token + 1, EXCLUDED.token), owner = EXCLUDED.owner,
  lease_until = EXCLUDED.lease_until, due = EXCLUDED.due, stamp = 0, reason = '', completed_at = NULL,
  resp_status = NULL, resp_tombstone = false, resp_header = NULL, resp_body = NULL
WHERE r.scope = EXCLUDED.scope AND r.key = EXCLUDED.key
  AND (r.expires_at <= EXCLUDED.claimed_at
    OR (r.fingerprint = EXCLUDED.fingerprint
      AND ((r.status = 'STARTED' AND r.owner <> EXCLUDED.owner AND r.lease_until <= EXCLUDED.claimed_at){or_held})))
RETURNING r.id, r.token, r.attempt,
  CASE WHEN r.attempt > 1 THEN r.kind END, CASE WHEN r.attempt > 1 THEN r.policy END,
  CASE WHEN r.attempt > 1 THEN r.retention_ns END, CASE WHEN r.attempt > 1 THEN r.fingerprint END,
  CASE WHEN r.attempt > 1 THEN r.detail END, CASE WHEN r.attempt > 1 THEN r.checkpoints END,
  CASE WHEN r.attempt > 1 THEN r.claimed_at END, CASE WHEN r.attempt > 1 THEN r.expires_at END;
