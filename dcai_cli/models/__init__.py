"""numpy replicas of the on-chain models: the same integers after any history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcai_cli.domain import MULTICLASS_PERCEPTRON, NAIVE_BAYES, NEAREST_CENTROID, PERCEPTRON

if TYPE_CHECKING:
    from dcai_cli.domain import ModelParams
    from dcai_cli.models.replica import Replica


def make_replica(params: ModelParams, words: Sequence[int] | bytes | None = None) -> Replica:
    """Make the replica of a model.

    Args:
        params: its type and shape.
        words: all its words, as integers or as 32 bytes each; without them all are 0.

    Raises:
        BadInput: not as many words as the model has, or words that no model can have.

    >>> from dcai_cli.domain import ModelParams
    >>> model = make_replica(ModelParams("nearest-centroid", 256, 9, classes=3, weight_bits=32))
    >>> sample = bytes.fromhex("02000200070009")  # label 2, the two features 7 and 9
    >>> model.train(sample), model.predict(sample).tolist()
    (1, [2])
    """
    from dcai_cli.models.naive_bayes import NaiveBayes
    from dcai_cli.models.nearest_centroid import NearestCentroid
    from dcai_cli.models.perceptron import MulticlassPerceptron, Perceptron

    kinds: dict[str, type[Replica]] = {
        PERCEPTRON: Perceptron,
        MULTICLASS_PERCEPTRON: MulticlassPerceptron,
        NAIVE_BAYES: NaiveBayes,
        NEAREST_CENTROID: NearestCentroid,
    }
    kind = kinds[params.model_type]
    return kind(params) if words is None else kind.from_words(words, params)
