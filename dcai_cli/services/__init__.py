"""Use cases: they tie features, models, chain, ledger and keystore together."""
