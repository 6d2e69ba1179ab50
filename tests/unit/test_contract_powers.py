"""Nobody has a power over the contracts that is not written down here."""

from __future__ import annotations

import re

import pytest

from dcai_cli.chain.artifacts import artifact
from tests.conftest import PROJECT
from tools.build_artifacts import CONTRACTS

ANYONE, ONCE, OWNER, TRAINER = (
    "anyone",
    "anyone, once, for a fresh clone",
    "owner, before sealing",
    "its trainer",
)

MODEL = {"initialize": ONCE, "train": TRAINER, "writeWeights": TRAINER}
POWERS = {
    "CollaborativeTrainer": {
        "initialize": ONCE,
        "contribute": ANYONE,
        "refund": "the contributor",
        "report": "others with standing",
        "sweep": "owner, later anyone",
        "publishEvaluation": ANYONE,
        "writeWeights": OWNER,
        "seal": OWNER,
    },
    "DataHandler": {"initialize": ONCE, "commit": TRAINER},
    "MarketReplay": {
        "initialize": ONCE,
        "writeInitialWeights": TRAINER,
        "addTests": TRAINER,
        "addSamples": TRAINER,
        "draw": TRAINER,
        "evaluate": TRAINER,
        "drawNext": TRAINER,
        "remove": TRAINER,
        "reset": TRAINER,
        "replay": TRAINER,
    },
    "ModelRegistry": {"install": ANYONE, "create": ANYONE, "supersede": "the owner of the older model"},
    "MulticlassPerceptron": MODEL,
    "NaiveBayes": MODEL,
    "NearestCentroid": MODEL,
    "Perceptron": MODEL,
    "PointsIncentive": {"initialize": ONCE, "settleRefund": TRAINER, "validate": "contributors with points"},
    "PredictionMarket": {
        "initialize": ONCE,
        "writeInitialWeights": "the provider, before it opens",
        "drawPiece": ANYONE,
        "revealPiece": "who knows the piece: the provider",
        "commit": ANYONE,
        "reveal": "who committed",
        "drawOrder": ANYONE,
        "drawAgain": ANYONE,
        "step": ANYONE,
        "fail": ANYONE,
        "collect": "anyone, for who is owed",
        "collectLeft": "anyone, for the provider",
    },
    "PredictionMarkets": {"create": ANYONE},
    "StakeIncentive": {
        "initialize": ONCE,
        "settleRefund": TRAINER,
        "settleReport": TRAINER,
        "settleSweep": TRAINER,
    },
}
"""Every function that changes state, and who may call it: tests/contracts try the others. The trainer of a
market's replay is its market."""

PAYABLE = {
    "CollaborativeTrainer": {"contribute"},
    "PredictionMarket": {"initialize", "commit"},
    "PredictionMarkets": {"create"},
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_function_that_changes_state_is_listed(contract: str) -> None:
    """A new one shows here, as do fallbacks; there is none to pause, upgrade, withdraw or transfer."""
    abi = artifact(contract).entries
    changing = {
        entry["name"]
        for entry in abi
        if entry["type"] == "function" and entry["stateMutability"] in {"payable", "nonpayable"}
    }
    payable = {entry.get("name") for entry in abi if entry.get("stateMutability") == "payable"}

    assert changing == set(POWERS[contract])
    assert payable == PAYABLE.get(contract, set())
    assert not [entry for entry in abi if entry["type"] in {"receive", "fallback"}]


def test_functions_of_the_trainer_alone_say_so_in_the_code() -> None:
    """What only the trainer or the owner may call refuses everybody else before it does anything."""
    # A market has functions of its own with names of its replay's and of a data handler's.
    files = [path for path in (PROJECT / "contracts").rglob("*.sol") if path.name != "PredictionMarket.sol"]
    sources = "".join(path.read_text() for path in files)
    guards = {TRAINER: "onlyTrainer", OWNER: "onlyOwnerBeforeSealing"}
    for powers in POWERS.values():
        for name, who in powers.items():
            if who not in guards:
                continue
            heads = re.findall(rf"function {name}\([^{{;]*\{{", sources)
            assert any(guards[who] in head for head in heads), name
            # Points refuse reports and sweeps without looking who asks.
            unguarded = [head for head in heads if not any(guard in head for guard in guards.values())]
            assert all(re.search(r"\b(view|pure)\b", head) for head in unguarded), unguarded


def test_code_cannot_be_replaced_or_destroyed() -> None:
    """No contract of ours delegates calls or ends; OpenZeppelin's clones delegate to one fixed address."""
    for path in (PROJECT / "contracts").rglob("*.sol"):
        assert not re.search(r"\b(delegatecall|selfdestruct|callcode)\b", path.read_text()), path
