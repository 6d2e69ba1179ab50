"""Commitments and prices, against the golden vectors that the Solidity tests read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from dcai_cli.chain.commitment import batch_hash, sample_proof, samples_root
from dcai_cli.chain.price import deposit_per_unit_wei
from dcai_cli.domain import Batch, Terms

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def golden(name: str) -> list[dict[str, Any]]:
    """Read a file of golden vectors."""
    vectors: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text())
    assert vectors
    return vectors


def terms(cost_weight_wei: int, max_idle_s: int = 2**40) -> Terms:
    """Terms of which only the price counts."""
    return Terms(1, 2, 3, 4, 1, max_idle_s, cost_weight_wei)


def folded(sample: bytes, index: int, proof: list[bytes]) -> bytes:
    """The root to which a proof leads, computed the way the contract does."""
    node = keccak(sample)
    for level, sibling in enumerate(proof):
        node = keccak(sibling + node if index >> level & 1 else node + sibling)
    return node


def test_price_equals_the_golden_vectors() -> None:
    """The deposit of a unit is the contract's to the wei."""
    for case in golden("price"):
        price = deposit_per_unit_wei(terms(case["cost_weight_wei"]), case["units"], case["idle_s"])
        assert price == case["deposit_per_unit"], case


def test_idle_time_counts_up_to_the_terms() -> None:
    """A quiet week is no cheaper than the idle seconds that the terms allow."""
    assert deposit_per_unit_wei(terms(10**11, 3600), 5, 604_800) == deposit_per_unit_wei(
        terms(10**11, 3600), 5, 3600
    )


@given(first=st.integers(1, 10**6), second=st.integers(1, 10**6), idle=st.integers(0, 10**6), data=st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_split_of_a_batch_is_cheaper(first: int, second: int, idle: int, data: st.DataObject) -> None:
    """Two batches that share the idle time cost at least what one batch costs, but for rounding."""
    part = data.draw(st.integers(0, idle))
    whole = first + second
    money = terms(10**11)
    together = deposit_per_unit_wei(money, whole, idle) * whole
    apart = (
        deposit_per_unit_wei(money, first, part) * first
        + deposit_per_unit_wei(money, second, idle - part) * second
    )
    # Roots have nine decimals and each unit is rounded up by less than a wei.
    assert apart * (10**9 + 2) // 10**9 + whole >= together


def test_roots_and_proofs_equal_the_golden_vectors() -> None:
    """Roots and proofs are those that the contract checks."""
    for case in golden("merkle"):
        samples = [bytes.fromhex(sample[2:]) for sample in case["samples"]]
        assert f"0x{samples_root(samples).hex()}" == case["root"], case["name"]
        for expected in case["proofs"]:
            proof = [f"0x{node.hex()}" for node in sample_proof(samples, expected["index"])]
            assert proof == expected["proof"], (case["name"], expected["index"])


@given(samples=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=256))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_proof_leads_to_the_root_in_exactly_the_height_of_the_tree(samples: list[bytes]) -> None:
    """Each sample's proof folds to the root and has ceil(log2(count)) hashes."""
    root = samples_root(samples)
    for index, sample in enumerate(samples):
        proof = sample_proof(samples, index)
        assert len(proof) == (len(samples) - 1).bit_length()
        assert folded(sample, index, proof) == root


def test_there_is_no_proof_beyond_the_last_sample() -> None:
    """The padding of the tree cannot be proved."""
    with pytest.raises(IndexError, match="sample 3 of 3"):
        sample_proof([b"a", b"b", b"c"], 3)


def test_an_empty_batch_has_no_root() -> None:
    """No batch is empty, so an empty one is a fault of the caller."""
    with pytest.raises(ValueError, match="at least one sample"):
        samples_root([])


def test_batch_hash_is_the_hash_of_seven_words() -> None:
    """The meta-data but the id is hashed as static words in the order of the struct."""
    batch = Batch(7, f"0x{'Aa' * 20}", 1_700_000_000, 10**12, 2, 3, 0b10, bytes([9]) * 32)
    words = [int("aa" * 20, 16), 1_700_000_000, 10**12, 2, 3, 0b10, int.from_bytes(bytes([9]) * 32)]
    expected = keccak(b"".join(word.to_bytes(32, "big") for word in words))
    assert batch_hash(batch) == expected
