"""What a cluster's client does without one: addresses, what travels, and what tells programs apart."""

from __future__ import annotations

import socket
import sys

import pytest

from dcai_cli import __version__
from dcai_cli.domain import Row
from dcai_cli.errors import RpcUnreachable, UsageError
from dcai_cli.features.cluster import featurizer
from dcai_cli.features.cluster_work import Job, identify, read_rows, write_rows
from dcai_cli.features.columns import Column
from dcai_cli.features.featurize import featurize
from dcai_cli.features.spec import FeatureSpec

SPEC = FeatureSpec.text(labels=["ham", "spam"], n_features=4096)


def test_without_a_scheduler_this_process_featurizes() -> None:
    """No address, no Dask."""
    with featurizer(None) as found:
        assert found is featurize


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:8786", "http://127.0.0.1:8786", "tcp://", "tcp://host", "tcp://host:x", "tcp:// :1"],
)
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    """Dask would guess at some of them, and wait for others."""
    with pytest.raises(UsageError, match="is no address of a Dask scheduler"), featurizer(address):
        pass


def test_an_address_with_certificates_needs_some() -> None:
    """tls:// without certificates in Dask's configuration is refused before anything is sent."""
    with pytest.raises(UsageError, match="names no certificates"), featurizer("tls://127.0.0.1:8786"):
        pass


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    """The error of a node that does not answer, with the address."""
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        with (
            pytest.raises(RpcUnreachable, match=f"No Dask scheduler answers at {address}"),
            featurizer(address),
        ):
            pass


def test_without_dask_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="not installed") as caught, featurizer("tcp://127.0.0.1:8786"):
        pass
    assert caught.value.hint == "pip install 'dcai[dask]'"


def test_rows_travel_as_they_are() -> None:
    """Numbers and cells come back, halves of surrogate pairs that stand together included."""
    rows = [Row(7, {"a": 'x\n\0"', "b": "\ud83d\ude00"}), Row(9, {"a": "", "b": "\U0001f600"})]
    assert read_rows(write_rows(rows, ["a", "b"]), ["a", "b"]) == rows


def test_an_identity_is_of_the_version_and_of_what_a_spec_makes() -> None:
    """Specs that make other samples have other identities; a spec that is not known is said."""
    table = FeatureSpec.tabular(
        labels=["ham", "spam"], columns=[Column("size", "numeric", ("2", "19"))], n_features=4096
    )
    specs = [
        SPEC,
        FeatureSpec.text(labels=["ham", "spam"], n_features=4096, valued=True),
        FeatureSpec.text(labels=["ham", "spam"], n_features=4096, lowercase=False),
        FeatureSpec.text(labels=["ham", "spam"], n_features=4096, analyzer="char"),
        table,
    ]
    hashes = {identify(Job(spec.to_json(), with_labels=True))["sha256"] for spec in specs}
    assert len(hashes) == len(specs)
    assert identify(Job(SPEC.to_json(), with_labels=True))["version"] == __version__
    assert "version 2" in identify(Job('{"version":2}', with_labels=True))["problem"]
