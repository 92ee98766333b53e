SELECT seq, id, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
       claimed_at, lease_until, completed_at, expires_at, reason,
       resp_status, resp_tombstone, resp_header, NULL::bytea, NULL::bytea, NULL::bytea
FROM {schema}.onceward_keys
WHERE bucket = $1::smallint AND (seq, id) < ($2::bigint, $3::uuid) AND expires_at > $4::timestamptz
  AND ($5::text = '' OR kind = $5::text) AND ($6::text IS NULL OR scope = $6::text)
  AND ($7::text = '' OR status = $7::text){and_held}
ORDER BY seq DESC, id DESC LIMIT $8::bigint;
