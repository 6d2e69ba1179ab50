"""One decoder for what contracts revert with, whatever client reports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dcai_cli.chain import abi
from dcai_cli.chain.artifacts import all_errors
from dcai_cli.domain import format_ether, iso_time
from dcai_cli.errors import Reverted

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "no such enum value",
    0x22: "broken storage encoding",
    0x31: "pop from an empty array",
    0x32: "index out of bounds",
    0x41: "too much memory",
    0x51: "call to an uninitialised function",
}


def revert_data(error: Mapping[str, Any]) -> bytes | None:
    """Find the bytes that a contract reverted with in a JSON-RPC error.

    geth, anvil and the embedded chain put them into `data`; hardhat into `data.data`; some proxies prefix
    them with a word, or nest the whole error once more under `data.originalError`.

    Args:
        error: the member `error` of a JSON-RPC answer.

    Returns:
        The bytes; empty for a revert without a reason; None if the answer holds none.
    """
    data = error.get("data")
    if isinstance(data, Mapping):
        nested = data.get("originalError", data)
        return revert_data({"data": nested.get("data", nested.get("result"))})
    if not isinstance(data, str):
        return None
    digits = data.removeprefix("Reverted ")
    try:
        return bytes.fromhex(digits.removeprefix("0x")) if digits.startswith("0x") else None
    except ValueError:
        return None


def decode_revert(data: bytes) -> Reverted:
    """Turn the bytes that a contract reverted with into an error for people.

    Args:
        data: selector and values of a custom error, of `Error(string)` or `Panic(uint256)`; or nothing.
    """
    if not data:
        return Reverted("The contract reverted without a reason.", hint=_HINT)
    entry = all_errors().get(data[:4])
    try:
        if entry is not None:
            return _custom(entry, data[4:])
        if data[:4] == _ERROR_STRING:
            reason = abi.decode([{"type": "string"}], data[4:])[0]
            return Reverted(f"The contract reverted: {reason}", hint=_HINT)
        if data[:4] == _PANIC:
            number = abi.decode([{"type": "uint256"}], data[4:])[0]
            panic = f"The contract panicked: {_PANICS.get(number, 'unknown')} (0x{number:02x})."
            return Reverted(panic, hint=_HINT)
    except ValueError:
        pass
    return Reverted(f"The contract reverted with an unknown error, 0x{data[:68].hex()}.", hint=_HINT)


def _custom(entry: abi.Entry, data: bytes) -> Reverted:
    name = entry["name"]
    parameters = [parameter["name"] or f"arg{i}" for i, parameter in enumerate(entry["inputs"])]
    values = dict(zip(parameters, abi.decode(entry["inputs"], data), strict=True))
    shown = ", ".join(f"{key}={_show(value)}" for key, value in values.items())
    hint = _HINTS[name](values) if name in _HINTS else ""
    message = f"{_WORDS[name](values)} ({name})." if name in _WORDS else f"{name}({shown})"
    return Reverted(message, name=name, values=values, hint=hint)


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


_HINT = "See whether the code is what dcai ships: dcai model verify"
"""Contracts of ours name what they refuse."""

_MARKET_HINT = "See what comes next in it: dcai market status"

_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "AlreadyCommitted": lambda values: f"{values['participant']} takes part in this market already",
    "AlreadySealed": lambda _: "The model is sealed already",
    "ContributionThisSecond": lambda _: "The model takes one batch a second",
    "NotFailed": lambda _: "The provider of this market has missed no deadline",
    "NotOwner": lambda values: f"Only {values['owner']}, who owns it, can do that",
    "NotSealed": lambda _: "The model is not sealed, so nobody can contribute yet",
    "NothingToCollect": lambda values: f"There is nothing to collect for {values['account']}",
    "TooManyParticipants": lambda values: f"The market has {values['limit']} participants, and takes no more",
    "TooManyUnits": lambda values: f"The market takes {values['limit']} units now, not {values['units']}",
    "UnknownModel": lambda values: f"{values['trainer']} is no model of this registry",
    "WrongPhase": lambda _: "The market waits for something else",
    "WrongReveal": lambda values: (
        f"This is not what {values['participant']} committed to, or it is shown already"
    ),
    "WrongTime": lambda _: "It is not the time for this in the market",
}
"""What a refusal that people meet says, in words."""

_HINTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "AlreadySealed": lambda values: (
        f"It has been open since {iso_time(values['sealedAt'])}. Contribute to it: dcai contribute FILE"
    ),
    "AlreadyCommitted": lambda _: _MARKET_HINT,
    "AlreadyReported": lambda _: (
        "You have taken your share of this sample. See what else there is: dcai reports"
    ),
    "AlreadyValidated": lambda _: (
        "You have given this contributor your validation point. See whom else there is: dcai leaderboard"
    ),
    "ContributionThisSecond": lambda _: (
        "Somebody contributed in this very second; type the same command again."
    ),
    "FullyValidated": lambda values: (
        "It has as many validation points as model points. See whom else there is: dcai leaderboard"
        if values["modelPoints"]
        else "It has earned no model points yet. See who has: dcai leaderboard"
    ),
    "InsufficientDeposit": lambda values: (
        f"The price rose to {format_ether(values['requiredWei'])}; type the same command again to see it."
    ),
    # Registry and factory of markets have the same error, by different names of what is there.
    "NameTaken": lambda values: (
        f"You have one of this name at {values.get('trainer', values.get('market'))}; choose another name."
    ),
    "NotContributor": lambda values: (
        f"Only {values['contributor']} can take this deposit back. See your own: dcai refunds"
    ),
    "NotFailed": lambda _: _MARKET_HINT,
    "NotOwner": lambda values: f"Act as its owner: --account {values['owner']}",
    "NotSealed": lambda _: "The model's owner has to seal it first: dcai model seal NAME",
    "NothingAtStake": lambda _: "This model has points and no deposits. See who has them: dcai leaderboard",
    "NothingLeft": lambda _: "Everything of this batch is paid out. See what is not: dcai refunds",
    "NothingToCollect": lambda _: _MARKET_HINT,
    "NothingToSpend": lambda _: "Each validation spends a model point. Earn more: dcai contribute FILE",
    "OwnValidation": lambda _: "Only others can validate you. See who there is: dcai leaderboard",
    "ReporterIsContributor": lambda _: "Take your own deposits back with: dcai refunds --claim",
    "ReporterNotValidated": lambda _: (
        "Contribute what the model does not predict yet, and get a refund for it: dcai contribute FILE"
    ),
    "TooEarly": lambda values: (
        f"It is due at {iso_time(values['availableAt'])}, by the chain's time. See how long: dcai refunds"
    ),
    "TooFewPoints": lambda values: (
        f"You have {values['modelPoints']} model points and need {values['requiredPoints']}. "
        "Earn more: dcai contribute FILE"
    ),
    "TooManyParticipants": lambda _: _MARKET_HINT,
    "TooManyUnits": lambda _: (
        "Others were faster, or the market takes less of each. See it: dcai market status"
    ),
    "UnknownModel": lambda _: "Name another model of the same registry: dcai model list",
    "WrongHeader": lambda _: "The block of the draw is too old, or not there yet. See it: dcai market status",
    "WrongPhase": lambda _: _MARKET_HINT,
    "WrongReveal": lambda _: _MARKET_HINT,
    "WrongTime": lambda _: _MARKET_HINT,
}
