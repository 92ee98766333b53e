-- One row per operation. What is fixed in size comes first, so that no byte is
-- spent on alignment.
CREATE TABLE {schema}.onceward_keys (
  token          bigint      NOT NULL,             -- grows with every claim of the key
  seq            bigint      NOT NULL,             -- order of first claims
  stamp          bigint      NOT NULL DEFAULT 0,   -- order of the claim's checkpoints
  retention_ns   bigint      NOT NULL,
  claimed_at     timestamptz NOT NULL,
  lease_until    timestamptz NOT NULL,
  completed_at   timestamptz,
  expires_at     timestamptz NOT NULL,             -- 9999-12-31: never
  due            timestamptz NOT NULL,             -- when to look at it: lease_until, then expires_at; infinity when held
  attempt        integer     NOT NULL,
  resp_status    integer,                          -- NULL: no response
  bucket         smallint    NOT NULL,             -- derived from id, fixed for ever
  resp_tombstone boolean     NOT NULL DEFAULT false,
  id             uuid        NOT NULL,             -- derived from scope and key
  owner          uuid        NOT NULL,             -- random; zero once released
  scope          text        COLLATE "C" NOT NULL,
  key            text        COLLATE "C" NOT NULL,
  status         text        COLLATE "C" NOT NULL, -- STARTED, COMPLETED or HELD
  kind           text        COLLATE "C" NOT NULL,
  policy         text        COLLATE "C" NOT NULL,
  reason         text        COLLATE "C" NOT NULL DEFAULT '',
  fingerprint    bytea       NOT NULL,
  detail         bytea,
  checkpoints    bytea,
  resp_header    bytea,
  resp_body      bytea,
  PRIMARY KEY (bucket, id)
) {keys_options};

-- The highest token of a record that was swept: no later token may be lower.
CREATE TABLE {schema}.onceward_buckets (
  bucket smallint PRIMARY KEY,
  token  bigint   NOT NULL
) WITH (fillfactor = 50);

-- How many batches each running store has had acknowledged. A number that goes
-- back means that acknowledged writes were lost.
CREATE TABLE {schema}.onceward_marks (
  batch      bigint      NOT NULL,
  stamped_at timestamptz NOT NULL,
  bucket     smallint    NOT NULL,
  instance   uuid        NOT NULL,
  PRIMARY KEY (bucket, instance)
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Losses that were noticed, until somebody acknowledges them.
CREATE TABLE {schema}.onceward_losses (
  id              uuid        PRIMARY KEY,
  instance        uuid        NOT NULL,
  detected_at     timestamptz NOT NULL,
  detail          text        NOT NULL,
  acknowledged_at timestamptz
);
