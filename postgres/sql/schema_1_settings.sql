WITH (
  fillfactor = 85,
  -- A record is updated once or twice and deleted after a day: with the
  -- server's defaults the table grows to twice its size before it is cleaned.
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02,
  autovacuum_vacuum_cost_delay = 0,
  toast.autovacuum_vacuum_scale_factor = 0.02,
  toast.autovacuum_vacuum_cost_delay = 0
)
