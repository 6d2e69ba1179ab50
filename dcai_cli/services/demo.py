"""The whole story on an embedded chain of its own: deploy, contribute, wait, refund, report, sweep."""

from __future__ import annotations

import csv
import random
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.config import load_settings
from dcai_cli.domain import Terms
from dcai_cli.features.columns import Column
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.files import example
from dcai_cli.keystore import Keystore
from dcai_cli.services.accounts import acting_account, create_account
from dcai_cli.services.claims.refund import claim_refunds
from dcai_cli.services.claims.report import claim_reports
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.deploy import deploy_model
from dcai_cli.services.evaluate import evaluate_file
from dcai_cli.services.limits import model_params
from dcai_cli.services.workspace import Workspace

if TYPE_CHECKING:
    from dcai_cli.keystore import StoredAccount

Say = Callable[[str], None]
Table = list[dict[str, str]]

DAY_S = 86_400
TERMS = Terms(
    refund_wait_s=DAY_S,
    report_wait_s=2 * DAY_S,
    owner_wait_s=7 * DAY_S,
    public_wait_s=9 * DAY_S,
    min_gap_s=DAY_S,
    max_idle_s=3600,
    cost_weight_wei=10**12,
)
MARGIN_S = 3600
"""A wait counts from each batch of its own, and the last batch came later than the first."""

LIGHT_SCRYPT = 1 << 12
"""The demo's keys are thrown away with its folder, so they need not be hard to guess."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Balances at a point of the story, as changes from the start.

    Args:
        what: what just happened.
        good_wei: the good contributor's gain, fees included.
        bad_wei: the bad one's.
    """

    what: str
    good_wei: int
    bad_wei: int


@dataclass(frozen=True, slots=True)
class Story:
    """One model's story.

    Args:
        title: what it is about.
        rows: rows contributed.
        accuracy_before: on rows kept aside, before any contribution.
        accuracy_after: on the same rows, at the end.
        gas_used: gas of all contributions and claims.
        moments: the balances over time.
    """

    title: str
    rows: int
    accuracy_before: float
    accuracy_after: float
    gas_used: int
    moments: tuple[Moment, ...]

    @property
    def good_wei(self) -> int:
        """What the good contributor gained in the end."""
        return self.moments[-1].good_wei

    @property
    def bad_wei(self) -> int:
        """What the bad contributor gained in the end."""
        return self.moments[-1].bad_wei


def play(*, say: Say = lambda _: None) -> tuple[Story, ...]:
    """Play both stories in a temporary home.

    Args:
        say: gets a line per step.
    """
    with tempfile.TemporaryDirectory(prefix="dcai-demo-") as home:
        settings = load_settings({"DCAI_HOME": home})
        keystore = Keystore(settings.keystore_dir, work_factor=LIGHT_SCRYPT)
        with Workspace(settings, keystore=keystore) as workspace:
            stage = _Stage(workspace, Path(home), say)
            return (
                stage.tell(
                    "Tumours, benign or malignant: scikit-learn's breast_cancer (tabular)",
                    "tumours",
                    *_tumours(),
                ),
                stage.tell(
                    "Reviews, negative or positive: examples/reviews.csv (text)", "reviews", *_reviews()
                ),
            )


class _Stage:
    """Where the stories play: one chain, an owner, a good and a bad contributor."""

    def __init__(self, workspace: Workspace, home: Path, say: Say) -> None:
        self._workspace = workspace
        self._home = home
        self._say = say
        self._password = secrets.token_hex(8)
        for name in ("owner", "good", "bad"):
            create_account(workspace, name, self._password)

    def tell(self, title: str, name: str, spec: FeatureSpec, table: Table) -> Story:
        """Deploy a model and let the good and the bad one contribute to it.

        The good one sends three fifths of the rows with their true labels, the bad one a tenth with
        flipped ones; the rest is kept aside.
        """
        workspace, say = self._workspace, self._say
        say(f"[{name}] deploying the model")
        deploy_model(
            workspace,
            name=name,
            spec=spec,
            params=model_params(spec),
            terms=TERMS,
            password=self._answer,
            account="owner",
        )
        aside = self._write(f"{name}-test.csv", table[len(table) * 7 // 10 :])
        before = evaluate_file(workspace, aside, model=name).accuracy
        gas_used = rows = 0
        start = self._balances()
        moments = [Moment("start", 0, 0)]

        def moment(what: str) -> None:
            good, bad = self._balances()
            moments.append(Moment(what, good - start[0], bad - start[1]))
            say(f"[{name}] {what}")

        half, most = len(table) * 3 // 10, len(table) * 6 // 10
        flipped = [row | {"label": _other(spec, row["label"])} for row in table[most : len(table) * 7 // 10]]
        for part, (who, part_rows) in enumerate(
            (("good", table[:half]), ("bad", flipped), ("good", table[half:most]))
        ):
            request = ContributeRequest(
                file=self._write(f"{name}-{part}.csv", part_rows), model=name, account=who, batch_size=64
            )
            done = contribute(workspace, request, password=self._answer)
            gas_used += sum(batch.gas_used for batch in done.batches)
            rows += done.contributed
            moment(f"{who} contributes {done.contributed} rows")
        workspace.chain.advance(TERMS.refund_wait_s + MARGIN_S)
        for who in ("good", "bad"):
            refunded = claim_refunds(workspace, password=self._answer, model=name, account=who)
            gas_used += refunded.gas_used
            moment(f"day 1: {who} is refunded")
        workspace.chain.advance(TERMS.report_wait_s - TERMS.refund_wait_s)
        gas_used += claim_reports(workspace, password=self._answer, model=name, account="good").gas_used
        moment("day 2: good reports")
        workspace.chain.advance(TERMS.public_wait_s - TERMS.report_wait_s)
        gas_used += claim_reports(workspace, password=self._answer, model=name, account="good").gas_used
        moment("day 9: good sweeps")
        after = evaluate_file(workspace, aside, model=name).accuracy
        return Story(title, rows, before, after, gas_used, tuple(moments))

    def _answer(self, _stored: StoredAccount) -> str:
        return self._password

    def _balances(self) -> tuple[int, int]:
        good, bad = (
            self._workspace.chain.balance_wei(acting_account(self._workspace, name).address)
            for name in ("good", "bad")
        )
        return good, bad

    def _write(self, name: str, rows: Sequence[Mapping[str, str]]) -> Path:
        path = self._home / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path


def _other(spec: FeatureSpec, label: str) -> str:
    return spec.labels[1 - spec.labels.index(label)]


def _tumours() -> tuple[FeatureSpec, Table]:
    """The 30 measurements of 569 tumours, each in eight bins of equal counts."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    quantiles = np.quantile(data.data, [k / 8 for k in range(1, 8)], axis=0).T
    columns = [
        Column(
            str(name), "numeric", tuple(f"{edge:.6g}" for edge in sorted({float(f"{e:.6g}") for e in edges}))
        )
        for name, edges in zip(data.feature_names, quantiles, strict=True)
    ]
    labels = [str(name) for name in data.target_names]
    table = [
        {"label": labels[target]}
        | {str(name): f"{cell:.6g}" for name, cell in zip(data.feature_names, cells, strict=True)}
        for cells, target in zip(data.data, data.target, strict=True)
    ]
    return FeatureSpec.tabular(labels=labels, columns=columns, n_features=4096), _shuffled(table)


def _reviews() -> tuple[FeatureSpec, Table]:
    with example("reviews.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    return FeatureSpec.text(labels=["negative", "positive"], n_features=4096), table


def _shuffled(rows: Iterable[dict[str, str]]) -> Table:
    table = list(rows)
    random.Random(0).shuffle(table)  # noqa: S311 - an order, not a secret
    return table
