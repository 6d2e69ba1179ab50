"""Refusals that only a chain can utter, under the classes that carry the exit codes.

::

    DcaiError
    ├── RpcError         the node answered with an error
    │   ├── FeeTooLow    too low a fee for the pool, or to replace what is in it
    │   ├── NonceTaken   another transaction with this nonce is mined
    │   └── PrunedLogs   the node does not have that part of the past
    ├── FeesAboveCeiling no block takes a transaction for as little as may be offered (a LimitExceeded)
    ├── GasTooHigh       it does not fit into one transaction
    └── NotMined         no receipt within the time given
"""

from __future__ import annotations

from dcai_cli.domain import format_gwei
from dcai_cli.errors import DcaiError, LimitExceeded


class RpcError(DcaiError):
    """The node answered with an error.

    Args:
        message: what the node said.
        rpc_code: the JSON-RPC error code.
        data: the bytes that a contract reverted with; None if the node sent none.
    """

    def __init__(self, message: str, *, hint: str = "", rpc_code: int = 0, data: bytes | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rpc_code = rpc_code
        self.data = data


class FeeTooLow(RpcError):
    """The fee is too low for the node's pool, or to replace the transaction that is in it."""


class NonceTaken(RpcError):
    """Another transaction of this account with this nonce is mined already."""


class PrunedLogs(RpcError):
    """The node does not have the logs that were asked for (any more)."""


class GasTooHigh(DcaiError):
    """The work does not fit into one transaction (EIP-7825)."""


class NotMined(DcaiError):
    """No receipt within the time given; the transaction may still be mined."""


class FeesAboveCeiling(LimitExceeded):
    """No block takes a transaction for as little as may be offered for a unit of gas.

    Args:
        needed_wei: what a unit of gas costs at least.
        ceiling_wei: what it may cost at most.
    """

    def __init__(self, needed_wei: int, ceiling_wei: int, *, hint: str = "") -> None:
        super().__init__(
            f"A unit of gas costs at least {format_gwei(needed_wei)} gwei now, "
            f"above the ceiling of {format_gwei(ceiling_wei)} gwei.",
            hint=hint or "Try again when gas is cheaper, or allow a higher price.",
        )
        self.needed_wei = needed_wei
        self.ceiling_wei = ceiling_wei
