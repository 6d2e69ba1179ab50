"""dcai market simulate: bundled scenarios, what is typed, what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.json_schemas import check_document
from tests.simulation.test_prediction import MARKETS, TINY, TUMOURS

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

SMALL = tuple(word for name, value in TINY.items() for word in ("--set", f"{name}={value}"))


def test_a_bundled_market_is_found_by_its_bare_name(empty: Dcai) -> None:
    """A file of that name goes first; without one the error lists what there is."""
    assert empty.data("market", "simulate", "tumours", "--draws", "1")["title"].startswith("Tumours")
    own = TUMOURS.read_text(encoding="utf-8").replace('title = "', 'title = "My own ')
    (empty.folder / "tumours").write_text(own, encoding="utf-8")
    assert empty.data("market", "simulate", "tumours", "--draws", "1")["title"].startswith("My own Tumours")
    error = empty.error("market", "simulate", "tumour")
    assert (error["exit_code"], error["hint"].startswith("Did you mean tumours? ")) == (15, True)
    assert all(path.stem in error["hint"] for path in MARKETS.glob("*.toml"))


def test_the_document_has_the_figures_that_are_shown(empty: Dcai) -> None:
    """By the schema; the same seed shows the same lines, another seed others."""
    command = ("market", "simulate", "tumours", *SMALL, "--seed", "5")
    document = empty(*command, "--json").document
    check_document("market simulate", document)
    data = document["data"]
    assert (data["seed"], data["draws"], data["gas_used"]) == (5, 3, None)
    shown = empty(*command).out
    assert empty(*command).out == shown != empty(*command[:-1], "6").out
    assert f"right sides  {data['right_sides']} of 3 draws" in shown
    for person in data["participants"]:
        (line,) = [line for line in shown.splitlines() if line.startswith(person["name"])]
        assert f"{person['score']:+.1f}" in line


def test_values_that_are_set_are_those_that_are_played(empty: Dcai) -> None:
    """Draws by their option, too; what no market can have is refused with the code of bad input."""
    data = empty.data("market", "simulate", "tumours", *SMALL, "--set", "market.rounds=50", "--draws", "2")
    assert (data["rules"]["rounds"], data["draws"], data["participants"][1]["samples"]) == (50, 2, 3)
    error = empty.error("market", "simulate", "tumours", "--set", "market.orders=99")
    assert (error["exit_code"], "orders in [market] of the scenario is 99." in error["message"]) == (15, True)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--rpc-url", "http://127.0.0.1:1"), "--rpc-url is for --real"),
        (("--real", "--draws", "2"), "--real plays one draw."),
        (("--set", "market.orders"), "--set market.orders has no value."),
    ],
)
def test_options_that_do_not_fit_are_refused(empty: Dcai, typed: tuple[str, ...], told: str) -> None:
    """Nothing is read before."""
    error = empty.error("market", "simulate", "tumours", *typed)
    assert (error["exit_code"], told in error["message"]) == (2, True)


def test_a_real_market_says_what_gas_was_used(empty: Dcai) -> None:
    """On the embedded chain: of the provider, and of every participant; nothing is left of its home."""
    result = empty("market", "simulate", "tumours", *SMALL, "--real", "--json", TMPDIR=str(empty.folder))
    check_document("market simulate", result.document)
    data = result.document["data"]
    assert data["draws"] == 1
    assert data["gas_used"] > 10_000_000
    assert all(person["gas_used"] > 300_000 for person in data["participants"])
    assert not list(empty.folder.glob("dcai-simulation-*"))
