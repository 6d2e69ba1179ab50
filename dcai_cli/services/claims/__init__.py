"""Refunds and reports: what can be claimed, when it is worth it, and sending the claims."""
