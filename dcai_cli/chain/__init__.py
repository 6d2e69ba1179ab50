"""The chain floor: one client for the embedded chain and every node, and the arithmetic of the contracts.

Nothing heavy is imported here; web3, py-evm and eth-account are imported where they are used.
"""

from dcai_cli.chain.client import Chain, open_chain, reset
from dcai_cli.chain.errors import (
    FeesAboveCeiling,
    FeeTooLow,
    GasTooHigh,
    NonceTaken,
    NotMined,
    PrunedLogs,
    RpcError,
)
from dcai_cli.chain.records import Block, Event, Fees, Receipt, SignedFields, SignedTransaction

__all__ = [
    "Block",
    "Chain",
    "Event",
    "FeeTooLow",
    "Fees",
    "FeesAboveCeiling",
    "GasTooHigh",
    "NonceTaken",
    "NotMined",
    "PrunedLogs",
    "Receipt",
    "RpcError",
    "SignedFields",
    "SignedTransaction",
    "open_chain",
    "reset",
]
