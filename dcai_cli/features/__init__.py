"""Rows to sparse integer vectors to payload bytes: readers, feature specs, hashing, the wire codec."""
