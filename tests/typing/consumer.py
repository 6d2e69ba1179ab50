"""What a program that uses the library may look like: `consumer.py WEIGHTS.npz`, with the settings of dcai.

A type checker reads it as its author's would: with the installed package, without this project's settings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import FunctionTransformer  # type: ignore[import-untyped]

from dcai_cli.chain import open_chain
from dcai_cli.config import Settings, load_settings
from dcai_cli.domain import Row, format_ether
from dcai_cli.errors import DcaiError
from dcai_cli.features.featurize import Skipped, featurize
from dcai_cli.features.readers import Source, open_rows
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.ledger import StoredBatch, open_ledger
from dcai_cli.services.claims.refund import pending_refunds
from dcai_cli.services.predict import predict_text
from dcai_cli.services.workspace import Workspace
from dcai_cli.sklearn import OnChainClassifier


def predict(weights: Path, texts: list[str]) -> list[str]:
    """What a model file says of texts, alone and at the end of a pipeline."""
    classifier = OnChainClassifier.from_file(weights)
    alone = assert_type(classifier.predict(texts), NDArray[np.str_]).tolist()
    tidy = FunctionTransformer(lambda rows: [row.strip() for row in rows])
    assert alone == make_pipeline(tidy, classifier).predict(texts).tolist()
    assert set(alone) <= set(assert_type(classifier.classes_, NDArray[np.str_]).tolist())
    return [str(label) for label in alone]


def sizes(spec: FeatureSpec, texts: list[str]) -> Iterator[int]:
    """How many bytes each text is on the wire; 0 for what has no features."""
    rows = [Row(number, {spec.text_column: text}) for number, text in enumerate(texts, start=1)]
    for found in featurize(rows, spec, with_labels=False):
        if isinstance(found, Skipped):
            assert_type(found.reason, str)
            yield 0
        else:
            yield len(assert_type(found.sample, bytes))


def cells(file: Path) -> list[str]:
    """The texts of a file."""
    with open_rows(Source(str(file))) as rows:
        return [row.cells["text"] for row in rows]


def on_chain(settings: Settings) -> dict[str, list[StoredBatch]]:
    """The open batches of every model that the ledger knows, by its name."""
    with closing(open_ledger(settings.ledger)) as ledger:
        return {
            model.name: assert_type(
                ledger.batches(model.chain, model.owner, state="open", model=model.address), list[StoredBatch]
            )
            for model in ledger.models(None)
        }


def main(weights: Path, file: Path) -> None:
    """Print what a model file says of a file's rows, and what is out."""
    texts = cells(file)
    print(*predict(weights, texts))
    print(*sizes(FeatureSpec.text(labels=["negative", "positive"], n_features=256), texts))
    settings = load_settings()
    print(*(f"{name}: {sum(batch.count for batch in found)}" for name, found in on_chain(settings).items()))
    with open_chain(settings) as chain:
        print(f"block {assert_type(chain.block_number(), int)}")
    with Workspace(settings) as workspace:
        out_wei = sum(item.amount_wei for item in pending_refunds(workspace))
        model, prediction = predict_text(workspace, texts[0])
        print(f"{model.name} says {prediction.label}; {format_ether(out_wei)} are out")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except DcaiError as error:
        print(error, assert_type(error.hint, str), sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)
