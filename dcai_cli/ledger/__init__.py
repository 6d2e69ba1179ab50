"""What this user did and is owed: written before each step, so that a crash loses nothing."""

from dcai_cli.ledger.records import Claim, Commitment, ModelRecord, StoredBatch, StoredTransaction
from dcai_cli.ledger.store import Ledger, open_ledger
from dcai_cli.ledger.totals import OpenSum, SettledClaim, Totals

__all__ = [
    "Claim",
    "Commitment",
    "Ledger",
    "ModelRecord",
    "OpenSum",
    "SettledClaim",
    "StoredBatch",
    "StoredTransaction",
    "Totals",
    "open_ledger",
]
