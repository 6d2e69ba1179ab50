"""numpy replicas of the on-chain models: the same integers after any history."""
