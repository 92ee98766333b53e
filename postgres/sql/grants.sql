GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.onceward_keys, {schema}.onceward_marks TO {role};
GRANT SELECT, UPDATE ON {schema}.onceward_buckets TO {role};
GRANT SELECT, INSERT, UPDATE ON {schema}.onceward_losses TO {role};
GRANT SELECT ON {schema}.onceward_schema TO {role};
