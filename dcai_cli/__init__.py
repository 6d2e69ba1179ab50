"""dcai: contribute data to machine-learning models that live in Ethereum smart contracts."""

__version__ = "0.1.0"
