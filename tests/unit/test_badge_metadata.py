"""What a wallet shows of a badge: JSON with a picture, both on the chain."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from dcai_cli.chain import Chain, Receipt, open_chain
from dcai_cli.chain.artifacts import artifact
from dcai_cli.config import Settings

TRAINER: LocalAccount = Account.from_key("0x" + "33" * 32)
"""Stands in for the trainer: the mechanism takes an address for it, whatever is there."""
CONTRIBUTOR = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
TERMS = (86_400, 0, 0, 0, 0, 0, 0)
POINTS = (1, 10, 100, 1_000, 10_000)
SVG = "{http://www.w3.org/2000/svg}"


def transact(chain: Chain, to: str | None, data: bytes) -> Receipt:
    """Estimate, sign, send and wait; the transaction must succeed."""
    signed = chain.sign(
        TRAINER,
        to=to,
        data=data,
        value_wei=0,
        nonce=chain.next_nonce(TRAINER.address),
        gas=chain.estimate_gas(TRAINER.address, to, data) + 30_000,
        fees=chain.fees(),
    )
    receipt = chain.wait(chain.send(signed.raw))
    assert receipt.status, chain.revert_reason(receipt)
    return receipt


@pytest.fixture(scope="module")
def badge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chain, str]]:
    """A chain, and a points mechanism on it where one contributor has earned 10,240 points."""
    folder: Path = tmp_path_factory.mktemp("badges")
    with open_chain(Settings(folder, folder, folder)) as chain:
        chain.fund_if_new(TRAINER.address)
        implementation = transact(chain, None, artifact("PointsIncentive").bytecode).contract_address
        assert implementation is not None
        proxy = f"3d602d80600a3d3981f3363d3d373d3d3d363d73{implementation[2:]}5af43d82803e903d91602b57fd5bf3"
        mechanism = transact(chain, None, bytes.fromhex(proxy)).contract_address
        assert mechanism is not None
        transact(chain, mechanism, chain.encode("PointsIncentive", "initialize", TRAINER.address, TERMS))
        everything = 2**256 - 1
        for batch_id in range(40):
            batch = (batch_id, CONTRIBUTOR, 0, 0, 256, 256, everything, bytes(32))
            transact(
                chain, mechanism, chain.encode("PointsIncentive", "settleRefund", batch, everything, b"")
            )
        yield chain, mechanism


def metadata(badge: tuple[Chain, str], level: int) -> dict[str, Any]:
    """The metadata of the contributor's badge of a level."""
    chain, mechanism = badge
    token_id = level * 2**160 + int(CONTRIBUTOR, 16)
    uri: str = chain.view("PointsIncentive", mechanism, "tokenURI", token_id)
    head, body = uri.split(",")
    assert head == "data:application/json;base64"
    decoded: dict[str, Any] = json.loads(base64.b64decode(body, validate=True))
    return decoded


@pytest.mark.parametrize(("level", "points"), list(enumerate(POINTS, start=1)))
def test_metadata_is_json_in_the_shape_that_wallets_read(
    badge: tuple[Chain, str], level: int, points: int
) -> None:
    """Name, description, attributes and image, and nothing else."""
    title = f"{points} model point{'s' if points > 1 else ''}"
    found = metadata(badge, level)
    assert found.keys() == {"name", "description", "attributes", "image"}
    assert found["name"] == title
    assert found["description"] == (
        f"{CONTRIBUTOR} earned {title} with samples that taught the DCAI model at {TRAINER.address} "
        "something and that it confirmed later. Not transferable."
    )
    assert found["attributes"] == [
        {"trait_type": "Level", "value": level, "max_value": 5},
        {"trait_type": "Model points", "value": points},
        {"trait_type": "Model", "value": TRAINER.address},
    ]


@pytest.mark.parametrize(("level", "points"), list(enumerate(POINTS, start=1)))
def test_the_picture_is_well_formed_and_needs_nothing_from_elsewhere(
    badge: tuple[Chain, str], level: int, points: int
) -> None:
    """The SVG parses, has no scripts, links or styles, and shows the number in the colour of the level."""
    head, body = metadata(badge, level)["image"].split(",")
    assert head == "data:image/svg+xml;base64"
    root = ET.fromstring(base64.b64decode(body, validate=True))  # noqa: S314 - our own contract wrote it
    assert root.tag == SVG + "svg"
    assert {element.tag for element in root} == {SVG + name for name in ("title", "rect", "circle", "text")}
    assert not any("href" in name for element in root.iter() for name in element.attrib)
    texts = [element.text for element in root.iter(SVG + "text")]
    assert texts[0] == str(points)
    assert texts[2] == CONTRIBUTOR
    circle = root.find(SVG + "circle")
    assert circle is not None
    assert circle.get("stroke") == ("#7f8c8d", "#cd7f32", "#c0c0c0", "#ffd700", "#8ecae6")[level - 1]


def test_a_badge_that_was_not_earned_has_no_metadata(badge: tuple[Chain, str]) -> None:
    """The level above the highest is nobody's."""
    chain, mechanism = badge
    with pytest.raises(Exception, match="ERC721NonexistentToken"):
        chain.view("PointsIncentive", mechanism, "tokenURI", 6 * 2**160 + int(CONTRIBUTOR, 16))
