-- The row stays, so that the next claim continues its tokens. It expired in
-- 1970: absent at once, whatever the clock of the next claimant says.
UPDATE onceward_keys
SET owner = zeroblob(16), checkpoints = NULL, detail = NULL, lease_until = 0, expires_at = 0
WHERE id = ?1 AND token = ?2 AND owner = ?3 AND status = 'STARTED';
