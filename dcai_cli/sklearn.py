"""Models of the chain as estimators of scikit-learn: the same predictions as the contract's, offline.

::

    classifier = OnChainClassifier.from_file("reviews.npz")     # dcai model export --output reviews.npz
    classifier = OnChainClassifier.from_chain("reviews")        # or as it stands on the chain now
    classifier.predict(["a wonderful film", "a dull mess"])

It stands at the end of a Pipeline, is cloned, pickled and scored as others are. But it is made by
contributions and not by `fit`, which checks and changes nothing; so `classes_` are always the model's labels.

That is why scikit-learn's `check_estimator` does not apply as a whole. Its checks fit on random numbers, with
labels of their own, and expect what was learned from them; this estimator takes the rows that its model
reads (texts, table rows, or vectors of a fixed length), and knows its own labels only. The checks of the
interface itself (parameters, cloning, representation, tags) hold, and the tests run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from dcai_cli.domain import ModelParams, Row
from dcai_cli.features.dense import DENSE
from dcai_cli.features.featurize import Skipped, featurize
from dcai_cli.features.readers.cells import cell_text
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.models import make_replica
from dcai_cli.services.weights import load_weights

if TYPE_CHECKING:
    from dcai_cli.models.replica import Replica

__all__ = ["OnChainClassifier", "Weights"]

_CHUNK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Weights:
    """A model at one moment.

    Args:
        spec: its feature spec.
        params: its type and shape.
        words: its storage words, 32 bytes each.
    """

    spec: FeatureSpec
    params: ModelParams
    words: bytes

    def __repr__(self) -> str:
        return f"<Weights of a {self.params.model_type}, {', '.join(self.spec.labels)}>"


class OnChainClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model of a chain, with the weights of one moment.

    Args:
        weights: the model; `from_file` and `from_chain` make it.
        empty: the label of rows that have no features, which the contract cannot predict; if None, they are
            an error.

    Attributes:
        classes_: the labels of the model, class 0 first.
    """

    def __init__(self, weights: Weights | None = None, *, empty: str | None = None) -> None:
        self.weights = weights
        self.empty = empty

    @classmethod
    def from_file(cls, path: Path | str, *, empty: str | None = None) -> Self:
        """Read an .npz that `dcai model export` or `dcai model snapshot` wrote; nothing in it is executed.

        Args:
            path: the file.
            empty: as of the class.

        Returns:
            The model, ready to predict.

        Raises:
            BadInput: it is no such file.
        """
        spec, replica = load_weights(path)
        return cls(_weights(spec, replica), empty=empty)

    @classmethod
    def from_chain(
        cls,
        model: str | None = None,
        *,
        block: int | str = "latest",
        network: str | None = None,
        rpc_url: str | None = None,
        chain_id: int | None = None,
        empty: str | None = None,
    ) -> Self:
        """Copy a model from the chain that the settings, or the arguments, name.

        Args:
            model: name or address; the one in use, or the only one, if None.
            block: as it stood after this block.
            network: by its name, over the settings'.
            rpc_url: likewise, by its nodes.
            chain_id: likewise.
            empty: as of the class.

        Returns:
            The model, ready to predict.

        Raises:
            DcaiError: there is no such model, or no node answers.
        """
        from dcai_cli.config import load_settings
        from dcai_cli.services.models import find_model, snapshot
        from dcai_cli.services.workspace import Workspace

        with Workspace(load_settings(network=network, rpc_url=rpc_url, chain_id=chain_id)) as workspace:
            hosted = find_model(workspace, model)
            replica = snapshot(workspace.chain, hosted, block=block)
        return cls(_weights(hosted.spec, replica), empty=empty)

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels of the model, class 0 first."""
        if self.weights is None:
            raise AttributeError("classes_")  # as of any estimator that is not fitted
        return np.array(self.weights.spec.labels)

    def fit(self, X: object = None, y: object = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Change nothing: what the model knows comes from contributions."""
        del X, y
        self._known()
        return self

    def predict(self, X: Any) -> NDArray[np.str_]:  # noqa: ANN401, N803 - scikit-learn's
        """The label of each row, as the contract predicts it.

        Args:
            X: of a model of texts, texts; of a tabular one, a DataFrame or a sequence of mappings of column
                to cell; of vectors, an array of shape (rows, length), or texts where the model names an
                encoder.

        Returns:
            Labels, of shape (rows,), in the order of the rows.

        Raises:
            NotFittedError: there are no weights.
            ValueError: rows of another kind, or a row without features, and `empty` is None.
            BadInput: a column is missing.
        """
        weights = self._known()
        labels = weights.spec.labels
        if self.empty is not None and self.empty not in labels:
            raise ValueError(f"empty is {self.empty!r}; the labels are {', '.join(labels)}.")
        replica = _replica(weights)
        predicted: list[str] = []
        samples: list[bytes] = []
        at: list[int] = []

        def flush() -> None:
            for place, number in zip(at, replica.predict(b"".join(samples)).tolist(), strict=True):
                predicted[place] = labels[number]
            samples.clear()
            at.clear()

        for found in featurize(rows_of(X, weights.spec), weights.spec, with_labels=False):
            if isinstance(found, Skipped):
                if self.empty is None:
                    raise ValueError(f"Row {found.row - 1} cannot be predicted: {found.reason}.")
                predicted.append(self.empty)
                continue
            at.append(len(predicted))
            predicted.append("")
            samples.append(found.sample)
            if len(samples) == _CHUNK_ROWS:
                flush()
        if samples:
            flush()
        return np.array(predicted, dtype=self.classes_.dtype)

    def __sklearn_is_fitted__(self) -> bool:
        return self.weights is not None

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        if self.weights is not None and self.weights.spec.kind != DENSE:
            tags.input_tags.two_d_array = False
            tags.input_tags.string = True
        return tags

    def _known(self) -> Weights:
        if self.weights is None:
            raise NotFittedError("There are no weights: use OnChainClassifier.from_file or .from_chain.")
        return self.weights


def rows_of(X: Any, spec: FeatureSpec) -> Iterator[Row]:  # noqa: ANN401, N803 - scikit-learn's
    """What estimators are given, as rows of a file; cells that are no text are written as a JSON file's are.

    Args:
        X: as of `OnChainClassifier.predict`.
        spec: the model's feature spec.

    Returns:
        The rows, numbered from 1.

    Raises:
        ValueError: they are rows of another kind.
    """
    if isinstance(X, str | bytes | Mapping):
        raise ValueError(f"One {type(X).__name__} is given where rows are expected.")  # noqa: TRY004 - as sklearn
    if spec.kind == DENSE and spec.encoder is None:
        return _vector_rows(X, spec)
    if hasattr(X, "to_dict") and hasattr(X, "columns"):
        X = X.to_dict("records")  # noqa: N806 - as above
    elif isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1 and spec.kind != "tabular":
        X = X[:, 0]  # noqa: N806 - a column, as transformers of columns make it
    column = "" if spec.kind == "tabular" else spec.text_column
    if spec.encoder is not None:
        column = spec.encoder.text_column
    return _cell_rows(X, column)


def _cell_rows(items: Iterable[Any], column: str) -> Iterator[Row]:
    for number, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield Row(number, {str(name): _cell(value) for name, value in item.items()})
        elif column and isinstance(item, str):
            yield Row(number, {column: str(item)})
        else:
            wanted = "a text" if column else "a mapping of column to cell"
            raise ValueError(f"Row {number - 1} is a {type(item).__name__}; it must be {wanted}.")


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever stands in a table
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and np.isnan(plain):
        return ""  # how pandas says that there is nothing
    return cell_text(plain)


def _vector_rows(X: Any, spec: FeatureSpec) -> Iterator[Row]:  # noqa: ANN401, N803 - scikit-learn's
    vectors = np.asarray(X, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != spec.length:
        raise ValueError(f"The vectors have shape {vectors.shape}; the model takes (rows, {spec.length}).")
    return (Row(number, {}, vector) for number, vector in enumerate(vectors, start=1))


def _weights(spec: FeatureSpec, replica: Replica) -> Weights:
    return Weights(spec, replica.params, b"".join(word.to_bytes(32, "big") for word in replica.words()))


@lru_cache(maxsize=4)
def _replica(weights: Weights) -> Replica:
    return make_replica(weights.params, weights.words)
