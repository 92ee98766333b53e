-- Times are microseconds since 1970-01-01 UTC; 253402214400000000 is "never".

CREATE TABLE onceward_keys (
  seq            INTEGER PRIMARY KEY,          -- order of first claims
  id             BLOB    NOT NULL UNIQUE,      -- 16 bytes derived from scope and key
  scope          TEXT    NOT NULL,
  key            TEXT    NOT NULL,
  status         TEXT    NOT NULL,             -- STARTED, COMPLETED or HELD
  token          INTEGER NOT NULL,             -- grows with every claim of the key
  owner          BLOB    NOT NULL,             -- 16 random bytes; zero once released
  attempt        INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  policy         TEXT    NOT NULL,
  fingerprint    BLOB    NOT NULL,
  retention_ns   INTEGER NOT NULL,
  detail         BLOB,
  claimed_at     INTEGER NOT NULL,
  lease_until    INTEGER NOT NULL,
  completed_at   INTEGER,
  expires_at     INTEGER NOT NULL,
  reason         TEXT    NOT NULL DEFAULT '',
  checkpoints    BLOB,
  resp_status    INTEGER,                      -- NULL: no response
  resp_tombstone INTEGER NOT NULL DEFAULT 0,
  resp_header    BLOB,
  resp_body      BLOB
) STRICT;

-- What may be swept. A record that never expires costs this index nothing.
CREATE INDEX onceward_expiring ON onceward_keys (expires_at) WHERE expires_at < 253402214400000000;

-- Whose owner may have died.
CREATE INDEX onceward_leases ON onceward_keys (lease_until) WHERE status = 'STARTED';

-- What waits for an operator; usually nothing.
CREATE INDEX onceward_held ON onceward_keys (seq) WHERE status = 'HELD';

-- The highest token of a record that was swept: no later token may be lower.
CREATE TABLE onceward_floor (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  token INTEGER NOT NULL
) STRICT;
INSERT INTO onceward_floor (one, token) VALUES (1, 0);
