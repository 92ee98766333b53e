SELECT create_distributed_table('{schema}.onceward_keys', 'bucket', shard_count => {buckets});
SELECT create_distributed_table('{schema}.onceward_buckets', 'bucket', colocate_with => '{schema}.onceward_keys');
SELECT create_distributed_table('{schema}.onceward_marks', 'bucket', colocate_with => '{schema}.onceward_keys');
