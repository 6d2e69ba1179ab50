"""What is typed about vectors, as a feature spec: their column, length and scale, and who makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcai_cli.domain import PERCEPTRON
from dcai_cli.errors import BadInput, UsageError

if TYPE_CHECKING:
    from dcai_cli.features.encoders import LoadedEncoder
    from dcai_cli.features.readers import Source
    from dcai_cli.features.spec import FeatureSpec

_MIN_HASH_SPACE = 256
_PERCEPTRON_CONSTANT = 127
"""A perceptron's bias moves by 1 and its weights by up to 127: a constant feature makes up for it."""
_HINT = "See what vectors take: dcai model deploy --help"


@dataclass(frozen=True, slots=True)
class Vectors:
    """How vectors are read, as it was typed, and for which type of model; None where it was not."""

    model_type: str
    vector_column: str | None
    vectors_from: Source | None
    scale: str | None
    constant: int | None
    encoder: str | None

    def options(self) -> dict[str, object]:
        """The options by their names."""
        return {
            "--vector-column": self.vector_column,
            "--vectors-from": self.vectors_from,
            "--scale": self.scale,
            "--constant": self.constant,
            "--encoder": self.encoder,
        }


def dense_spec(
    *,
    labels: Sequence[str] | None,
    n_features: int | None,
    max_features: int | None,
    text_column: str | None,
    label_column: str | None,
    vectors: Vectors,
    foreign: Mapping[str, object],
    note: Callable[[str], None] = lambda _: None,
) -> FeatureSpec:
    """Make the spec of a model of vectors.

    Args:
        labels: the labels.
        n_features: the length of the vectors, if neither a file nor an encoder says it.
        max_features: numbers of a vector that are sent at most.
        text_column: the column that the encoder reads.
        label_column: the column of the label.
        vectors: the rest of what was typed about vectors.
        foreign: options of other kinds, by their names; None where one was not typed.
        note: is told of an encoding that was found.

    Raises:
        UsageError: options contradict each other, or say what no spec can have.
        BadInput: the file cannot be learned from.
        DcaiError: the encoder cannot be used.
    """
    from dcai_cli.features.dense import VECTOR_COLUMN
    from dcai_cli.features.encoders import MAX_LENGTH, load_encoder
    from dcai_cli.features.spec import FeatureSpec

    _check_typed(labels, text_column, vectors, foreign)
    encoder = None if vectors.encoder is None else load_encoder(vectors.encoder)
    vector_column = VECTOR_COLUMN if vectors.vector_column is None else vectors.vector_column
    texts = "text" if text_column is None else text_column
    constant = vectors.constant if vectors.model_type == PERCEPTRON else vectors.constant or 0
    length, scale = None if encoder is None else encoder.dimension, vectors.scale
    if vectors.vectors_from is not None:
        length, scale = _learned(vectors.vectors_from, vector_column, texts, encoder, note)
    if length is not None and n_features not in {None, length}:
        raise UsageError(
            f"--n-features is {n_features}, and the vectors have {length} numbers.", hint="Leave it out."
        )
    length = length or n_features
    if length is None:
        raise UsageError("The length of the vectors is not known.", hint="Add for instance --n-features 384.")
    if length == MAX_LENGTH and constant is None:
        raise UsageError(
            f"Vectors of {length:,} numbers leave no room for the constant of a perceptron.",
            hint="Add --constant 0, or choose --model-type nearest-centroid.",
        )
    try:
        return FeatureSpec.dense(
            labels=labels or (),
            length=length,
            constant=_PERCEPTRON_CONSTANT if constant is None else constant,
            max_features=max_features,
            scale=scale or "",
            vector_column=vector_column,
            label_column="label" if label_column is None else label_column,
            encoder=None if encoder is None else encoder.named(texts),
        )
    except BadInput as error:  # all of it was typed
        raise UsageError(error.message, hint=error.hint or _HINT) from None


def check_not_dense(vectors: Vectors, n_features: int | None) -> None:
    """Refuse what only vectors can have.

    Raises:
        UsageError: an option is for vectors, or the hash space is as small as only they can be.
    """
    for option, value in vectors.options().items():
        if value is not None:
            raise UsageError(f"{option} is for vectors.", hint="Leave it out, or add --kind dense.")
    if n_features is not None and n_features < _MIN_HASH_SPACE:
        raise UsageError(
            f"--n-features {n_features} is not possible: a hash space has {_MIN_HASH_SPACE} to 16777216.",
            hint="Choose a power of two, such as 16384.",
        )


def _check_typed(
    labels: Sequence[str] | None, text_column: str | None, vectors: Vectors, foreign: Mapping[str, object]
) -> None:
    for option, value in foreign.items():
        if value is not None:
            raise UsageError(f"{option} is not for vectors.", hint="Leave it out.")
    if labels is None:
        raise UsageError("A model of vectors needs its labels.", hint="Add for instance --labels ham,spam.")
    if text_column is not None and vectors.encoder is None:
        raise UsageError(
            "--text-column is what an encoder reads.", hint="Leave it out, or add --encoder NAME."
        )
    if vectors.scale is None and vectors.vectors_from is None:
        raise UsageError(
            "Vectors need a scale.", hint="Learn it with --vectors-from FILE, or type one, as in --scale 500."
        )
    if vectors.scale is not None and vectors.vectors_from is not None:
        raise UsageError("A scale is typed or learned.", hint="Leave out --scale or --vectors-from.")


def _learned(
    source: Source,
    vector_column: str,
    text_column: str,
    encoder: LoadedEncoder | None,
    note: Callable[[str], None],
) -> tuple[int, str]:
    """The length of the vectors of a file, or of those that the encoder makes of its texts, and a scale."""
    from dcai_cli.features.dense import MIN_LENGTH
    from dcai_cli.features.encoders import MAX_LENGTH
    from dcai_cli.features.readers import open_rows
    from dcai_cli.features.vectors import column_of_vectors, learn_scale

    with open_rows(source, note=note, vector_column="" if encoder else vector_column) as rows:
        found = column_of_vectors(rows, text_column if encoder else vector_column, encoder)
    length = len(found[0])
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise BadInput(
            f"The vectors of {source} have {length:,} numbers; a model takes {MIN_LENGTH} to {MAX_LENGTH:,}.",
            hint=f"Name their column with --vector-column; here it is {vector_column!r}.",
        )
    return length, learn_scale(found)
