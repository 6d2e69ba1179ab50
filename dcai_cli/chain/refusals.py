"""What nodes refuse, in the words of geth, anvil, hardhat and the embedded chain, as errors of ours."""

from __future__ import annotations

from dcai_cli.chain.errors import FeeTooLow, GasTooHigh, NonceTaken, RpcError
from dcai_cli.chain.reverts import decode_revert
from dcai_cli.domain import MAX_TRANSACTION_GAS
from dcai_cli.errors import DcaiError, InsufficientFunds

_REVERTED = 3
_POOR = ("insufficient funds", "insufficient balance")
_EXHAUSTED = ("out of gas", "outofgas", "gas required exceeds")
_UNDERPRICED = ("underpriced", "less than block base fee", "fee too low")


def is_revert(error: RpcError) -> bool:
    """Whether a contract reverted, with or without data."""
    return error.data is not None or error.rpc_code == _REVERTED or "revert" in error.message.lower()


def execution_error(error: RpcError, label: str) -> DcaiError:
    """Why a node could not execute a call.

    Args:
        error: what the node answered.
        label: the node's host.
    """
    if _says(error, _EXHAUSTED):
        return too_much_gas()
    if is_revert(error):
        return decode_revert(error.data or b"")
    return refusal(error, label)


def refusal(error: RpcError, label: str) -> DcaiError:
    """Why a node did not take a transaction or answer a question.

    Args:
        error: what the node answered.
        label: the node's host.
    """
    if _says(error, _POOR):
        return InsufficientFunds(
            f"The balance does not cover the transaction: {error.message}",
            hint="Fund the account, or send less at a time.",
        )
    message = f"The node at {label} answers: {error.message}"
    if _says(error, ("nonce too low",)):
        return NonceTaken(message, hint="Another program uses this account; type the same command again.")
    if _says(error, _UNDERPRICED):
        return FeeTooLow(message, hint="Offer more: set ETH_GAS_PRICE or ETH_PRIORITY_GAS_PRICE.")
    return RpcError(message, hint=error.hint, rpc_code=error.rpc_code, data=error.data)


def too_much_gas() -> GasTooHigh:
    """Work that does not fit into one transaction."""
    return GasTooHigh(
        f"This does not fit into one transaction: it needs more than {MAX_TRANSACTION_GAS:,} gas.",
        hint="Send fewer samples in one batch (--batch-size).",
    )


def _says(error: RpcError, words: tuple[str, ...]) -> bool:
    return any(word in error.message.lower() for word in words)
