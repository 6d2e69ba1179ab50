"""Contributing: what is planned, what a batch offers, and how batches are sent."""
