"""Prediction markets: making one, taking part, and what each has to do until it ends."""
