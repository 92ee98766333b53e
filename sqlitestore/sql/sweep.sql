-- The conditions on expires_at stand in the DELETE itself as well, so that what
-- was claimed again is never deleted.
DELETE FROM onceward_keys
WHERE seq IN (SELECT seq FROM onceward_keys
              WHERE expires_at <= ?1 AND expires_at < 253402214400000000
              ORDER BY expires_at LIMIT ?2)
  AND expires_at <= ?1
RETURNING token;
