"""What this user did and is owed: written before each step, so that a crash loses nothing."""

from dcai_cli.ledger.records import Claim, ModelRecord, StoredBatch, StoredTransaction
from dcai_cli.ledger.store import Ledger, open_ledger

__all__ = ["Claim", "Ledger", "ModelRecord", "StoredBatch", "StoredTransaction", "open_ledger"]
