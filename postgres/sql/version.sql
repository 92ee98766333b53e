CREATE TABLE IF NOT EXISTS {schema}.onceward_schema (
  one         integer PRIMARY KEY CHECK (one = 1),
  version     integer NOT NULL,
  ready       boolean NOT NULL, -- false while its indexes are being built
  buckets     integer NOT NULL,
  slots       bigint  NOT NULL, -- bit n is set when keys of slot n belong here
  distributed boolean NOT NULL
);

-- Migrations lock this table: they come one after the other.
CREATE TABLE IF NOT EXISTS {schema}.onceward_migration (nothing integer);
