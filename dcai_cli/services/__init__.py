"""Use cases, one file each: they tie features, models, chain, ledger and keystore together."""
