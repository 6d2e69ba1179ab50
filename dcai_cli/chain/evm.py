"""The embedded chain's virtual machine: py-evm's Prague, and the gas that a transaction needs.

A transaction that used G gas may need more than G to be offered: a call gets at most 63/64 of what is left
(EIP-150). Clients find the need by a binary search, some fifteen executions; this machine adds it up on the
way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eth.chains.base import MiningChain
from eth.db.chain import ChainDB
from eth.db.trie import HexaryTrie
from eth.exceptions import OutOfGas
from eth.vm.forks import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.spoof import SpoofTransaction

from dcai_cli.chain.fastops import accelerate
from dcai_cli.networks import EMBEDDED_CHAIN_ID

_DEEP = sys.getrecursionlimit()
"""py-evm raises the limit when it is imported, since calls nest up to 1,024 deep."""

# Elsewhere so deep a recursion ends in a segmentation fault: hostile JSON is refused by the usual limit.
sys.setrecursionlimit(1000)


@contextmanager
def deep_calls() -> Iterator[None]:
    """Let calls nest as deep as py-evm needs, while it executes."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(_DEEP, before))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def forget_chains() -> None:
    """Empty py-evm's caches that outlive a chain: their keys hold dozens of chains that were closed long ago.

    A daemon opens and closes the embedded chain in every cycle.
    """
    for owner, name in (
        (ChainDB, "_get_block_transactions"),
        (ChainDB, "_get_block_withdrawals"),
        (HexaryTrie, "_cached_create_node_to_db_mapping"),
    ):
        clear = getattr(getattr(owner, name, None), "cache_clear", None)
        if clear is not None:
            clear()


BLOCK_GAS_LIMIT = 36_000_000
"""Gas of one block: a full transaction stays under half of it, so that the base fee never rises."""

_CALL_STIPEND = 2300


def least_gas(data: bytes, intrinsic_gas: int) -> int:
    """The least gas of any transaction with this input: the intrinsic part, or the calldata floor (EIP-7623).

    Args:
        data: the transaction's input.
        intrinsic_gas: the intrinsic part.
    """
    tokens = 4 * len(data) - 3 * data.count(0)
    return max(intrinsic_gas, 21_000 + 10 * tokens)


class MeasuringComputation(PragueComputation):  # type: ignore[misc]
    """Adds up the least gas with which a call would have gone the same way."""

    opcodes = accelerate(PragueComputation.opcodes)
    _needed_by_calls = 0

    def apply_child_computation(self, child_msg: Any) -> Any:  # noqa: ANN401 - py-evm's own type is an ABC of ABCs
        """Run a nested call and note what it takes to be offered enough gas for it."""
        pays = child_msg.should_transfer_value and child_msg.value > 0 and not child_msg.is_create
        gift = _CALL_STIPEND if pays else 0
        before = self.msg.gas - (self.get_gas_remaining() + child_msg.gas - gift)
        child = super().apply_child_computation(child_msg)
        charged = max(child.gas_needed - gift, 0)
        # The least a for which a - a // 64 >= charged.
        offered = charged + max(charged - 1, 0) // 63
        self._needed_by_calls = max(self._needed_by_calls, before + offered)
        return child

    @property
    def gas_needed(self) -> int:
        """The least gas with which this call would have gone the same way."""
        return int(max(self.msg.gas - self.get_gas_remaining(), self._needed_by_calls))

    @property
    def ran_out_of_gas(self) -> bool:
        """Whether this call or one inside it ran out of gas."""
        failed = self.is_error and isinstance(self.error, OutOfGas)
        return failed or any(child.ran_out_of_gas for child in self.children)


class _State(PragueState):  # type: ignore[misc]
    computation_class = MeasuringComputation


class _Machine(PragueVM):  # type: ignore[misc]
    _state_class = _State


class EmbeddedChain(MiningChain):  # type: ignore[misc]
    """A chain of one machine, from its first block on."""

    chain_id = EMBEDDED_CHAIN_ID
    vm_configuration = ((0, _Machine),)

    def create_header_from_parent(self, parent_header: Any, **header_params: Any) -> Any:  # noqa: ANN401 - as above
        """The next block's header, with the same gas limit as the one before."""
        return super().create_header_from_parent(
            parent_header, **{**header_params, "gas_limit": parent_header.gas_limit}
        )

    def execute_free(
        self,
        header: Any,  # noqa: ANN401 - as above
        *,
        sender: bytes,
        to: bytes,
        data: bytes,
        value_wei: int,
        gas: int,
    ) -> tuple[MeasuringComputation, int]:
        """Execute a call without a signature or a fee, and forget what it did.

        Args:
            header: header of the block to execute in; its state root is the state before.
            sender: 20 bytes.
            to: 20 bytes, or none to deploy.
            data: the input.
            value_wei: sent along; the sender must have it.
            gas: of the whole transaction.

        Returns:
            What happened, and the gas that every transaction with this input pays.

        Raises:
            eth_utils.ValidationError: no chain would take the transaction.
        """
        machine = self.get_vm(header.copy(base_fee_per_gas=0))
        state = machine.state
        unsigned = machine.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=to,
            value=value_wei,
            data=data,
            access_list=(),
        )
        transaction = SpoofTransaction(unsigned, from_=sender)
        return state.apply_transaction(transaction), transaction.intrinsic_gas
