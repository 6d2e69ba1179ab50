"""What blocks of a chain draw, and who knows it beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.chain.headers import mix_hash
from dcai_cli.errors import WrongChain

if TYPE_CHECKING:
    from dcai_cli.chain import Chain

_LOOK = 4
"""Blocks that are compared."""


def check_draws(chain: Chain) -> None:
    """Refuse a chain whose blocks draw nothing: what a market's secrets rest on would be known to all.

    Raises:
        WrongChain: its contracts see the block numbers of another chain, or its blocks have no random number.
    """
    from dcai_cli.chain.layer2 import Layer2

    hint = "Make it on Ethereum, or on a network whose blocks have random numbers: dcai network list"
    if chain.layer2 is Layer2.ARBITRUM:
        raise WrongChain(
            f"Contracts of {chain.url_label} see the block numbers of Ethereum, so a market cannot draw by "
            "blocks of this chain.",
            hint=hint,
        )
    last = chain.block_number()
    if chain.layer2 is Layer2.OP_STACK or last < _LOOK:
        return
    if len({mix_hash(chain.header(number)) for number in range(last - _LOOK + 1, last + 1)}) == 1:
        raise WrongChain(
            f"Blocks of {chain.url_label} all have the same random number: everybody knows what they draw.",
            hint=hint,
        )


def caveat(chain: Chain) -> str:
    """What to know of a chain's draws; empty where a block's proposer has a bit of choice at most."""
    from dcai_cli.chain.layer2 import Layer2

    if chain.layer2 is not Layer2.OP_STACK:
        return ""
    return (
        "On this network a block's random number is that of an older block of Ethereum, which everybody "
        "knows: the provider can choose when it shows its last piece, and so among the orders."
    )
