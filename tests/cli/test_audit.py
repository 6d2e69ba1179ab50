"""Audits: every history is repeated from the chain alone, and whatever else touched the weights is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from eth_utils.crypto import keccak

from dcai_cli.models import make_replica
from dcai_cli.services.models import find_model, read_words
from tests.cli.test_model_types import MIXED, ROWS, THREE, TWO, TYPES

if TYPE_CHECKING:
    from dcai_cli.services.models import HostedModel
    from tests.cli.conftest import Dcai
    from tests.conftest import Anvil, MakeDcai, StartAnvil
    from tests.conftest import Dcai as Program


@pytest.mark.parametrize("options", [TWO, *TYPES.values()], ids=["perceptron", *TYPES])
def test_the_weights_of_every_type_are_the_result_of_what_was_contributed(
    dcai: Dcai, options: list[str]
) -> None:
    """Several batches of each type of model are replayed, and end in the words of the chain."""
    dcai.data("model", "deploy", "--name", "typed", *options, "--n-features", "256", "--yes")
    rows = ROWS + (MIXED if options[1] == THREE[1] else [])
    dcai.data("contribute", dcai.write("rows.csv", rows), "--model", "typed", "--batch-size", "3", "--yes")
    found = dcai.data("model", "audit", "typed")
    assert (found["samples"], found["batches"], found["written_words"]) == (len(rows), -(-len(rows) // 3), 0)
    assert found["is_result"] is True
    told = dcai("model", "audit", "typed")
    assert "are the result of what was contributed, bit for bit" in " ".join(told.out.split())


def test_weights_written_before_sealing_are_part_of_the_replay(dcai: Dcai) -> None:
    """A model that started pre-trained is the result of its start and of what came after."""
    np.savez(dcai.folder / "start.npz", weights=np.arange(256) - 100, bias=np.array(-3))
    deploy = ("model", "deploy", "--name", "typed", *TWO, "--n-features", "256", "--yes")
    dcai.data(*deploy, "--pretrain", "start.npz")
    assert dcai.data("model", "audit", "typed")["samples"] == 0
    dcai.data("contribute", dcai.write("rows.csv", ROWS), "--model", "typed", "--yes")
    found = dcai.data("model", "audit", "typed")
    assert (found["samples"], found["written_words"]) == (len(ROWS), 17)


def test_an_earlier_block_is_audited_as_it_was(dcai: Dcai) -> None:
    """With --to-block the batches after it do not count; a block that is not there is a usage error."""
    file = dcai.write("rows.csv", ROWS)
    dcai.data("contribute", file, "--limit", "2", "--yes")
    first = dcai.data("model", "audit")
    dcai.data("contribute", file, "--yes")
    assert dcai.data("model", "audit")["samples"] == len(ROWS)
    again = dcai.data("model", "audit", "--to-block", str(first["block_number"]))
    assert again | {"seconds": 0} == first | {"seconds": 0}
    assert first["samples"] == 2
    error = dcai.error("model", "audit", "--to-block", "4000")
    assert (error["exit_code"], "--to-block 4000" in error["message"]) == (2, True)


@pytest.fixture
def tampered(anvil: StartAnvil, make_dcai: MakeDcai) -> tuple[Program, Anvil, HostedModel, list[int]]:
    """A model on anvil that learned six rows in two batches, and its words."""
    node = anvil()
    dcai = make_dcai(node)
    dcai.deploy("films", labels="negative,positive", n_features=256)
    file = dcai.home / "rows.csv"
    file.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS))
    dcai("contribute", file, "--batch-size", "3", "--yes")
    assert dcai("model", "audit")["samples"] == len(ROWS)
    with dcai.workspace() as workspace:
        model = find_model(workspace, "films")
        return dcai, node, model, read_words(workspace.chain, model)


def first_slot(node: Anvil, model: HostedModel, words: list[int]) -> int:
    """The storage slot of a model's first word: found by what stands in all of them."""

    def stored(slot: int) -> int:
        return int(node.rpc("eth_getStorageAt", model.model, hex(slot), "latest"), 16)

    return next(base for base in range(32) if [stored(base + at) for at in range(len(words))] == words)


def test_a_weight_that_no_contribution_made_is_named(
    tampered: tuple[Program, Anvil, HostedModel, list[int]],
) -> None:
    """Exit code 1, the first differing feature with both numbers, and where the model is."""
    dcai, node, model, words = tampered
    base = first_slot(node, model, words)
    number = 5
    feature = 16 * number + 3
    shift = 240 - 16 * 3
    weight = (words[number] >> shift & 0xFFFF) ^ 0x8000
    weight = weight - 0x8000  # as a signed number of 16 bits
    other = 77 if weight != 77 else 78
    word = words[number] & ~(0xFFFF << shift) | other << shift
    node.rpc("anvil_setStorageAt", model.model, hex(base + number), f"0x{word:064x}")
    later = words[9] ^ 1  # a later feature differs, too, and is not the first
    node.rpc("anvil_setStorageAt", model.model, hex(base + 9), f"0x{later:064x}")
    error = dcai("model", "audit", code=1)
    assert f"feature {feature} (word {number}) is {other} on the chain, and {weight} by" in error["message"]
    assert model.address in error["message"]
    assert "do not trust" in error["hint"].lower()
    node.rpc("anvil_setStorageAt", model.model, hex(base + number), f"0x{words[number]:064x}")
    node.rpc("anvil_setStorageAt", model.model, hex(base + 9), f"0x{words[9]:064x}")
    assert dcai("model", "audit")["is_result"] is True


def test_a_bias_that_no_contribution_made_is_seen(
    tampered: tuple[Program, Anvil, HostedModel, list[int]],
) -> None:
    """What stands behind the features counts as much."""
    dcai, node, model, words = tampered
    slot = first_slot(node, model, words) + len(words) - 1
    node.rpc("anvil_setStorageAt", model.model, hex(slot), f"0x{words[-1] ^ 1 << 240:064x}")
    message = dcai("model", "audit", code=1)["message"]
    assert f"word {len(words) - 1}, which belongs to no feature, is 0x" in message


def test_a_batch_that_the_chain_did_not_commit_to_is_refused(
    tampered: tuple[Program, Anvil, HostedModel, list[int]],
) -> None:
    """Payloads are worth what their commitment says: where it is another, the batch is named."""
    dcai, node, model, _ = tampered
    (slot,) = [
        found
        for position in range(8)
        if int(
            node.rpc(
                "eth_getStorageAt",
                model.data_handler,
                found := "0x" + keccak((1).to_bytes(32, "big") + position.to_bytes(32, "big")).hex(),
                "latest",
            ),
            16,
        )
    ]
    node.rpc("anvil_setStorageAt", model.data_handler, slot, "0x" + "11" * 32)
    message = dcai("model", "audit", code=1)["message"]
    assert "of batch 1 is not what the chain committed to" in message


def test_weights_that_were_changed_and_changed_back_are_seen(
    tampered: tuple[Program, Anvil, HostedModel, list[int]],
) -> None:
    """A batch that met other weights is named, even if the last weights are those that should be there."""
    dcai, node, model, words = tampered
    base = first_slot(node, model, words)
    for number in range(16):  # every weight as great as can be: the next positive sample teaches nothing
        node.rpc("anvil_setStorageAt", model.model, hex(base + number), "0x" + "7fff" * 16)
    file = dcai.home / "more.csv"
    file.write_text("text,label\nan entirely new and surprising film,positive\n")
    assert dcai("contribute", file, "--yes")["batches"][0]["informative"] == 0
    message = dcai("model", "audit", code=1)["message"]
    assert "feature 0 (word 0) is 32767 on the chain" in message
    assert "sample 0 of batch 2 met other weights" in message
    with dcai.workspace() as workspace:
        replica = make_replica(model.params)
        events = workspace.chain.logs("CollaborativeTrainer", model.address, "Contributed", 0)
        assert [replica.train(event.args["payload"]) for event in events][-1] == 1
    for number, word in enumerate(replica.words()):
        node.rpc("anvil_setStorageAt", model.model, hex(base + number), f"0x{word:064x}")
    message = dcai("model", "audit", code=1)["message"]
    assert "sample 0 of batch 2 met other weights" in message
    assert "on the chain" not in message
