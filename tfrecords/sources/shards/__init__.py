"""Sources of shards, files that hold many images each."""
