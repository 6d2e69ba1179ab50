"""The feature spec: what a model publishes so that strangers turn the same row into the same bytes.

A spec is canonical JSON on the chain; `docs/feature-spec.md` describes every field. A version, field, type or
range that is not known here is refused: guessing would send other bytes than the model was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from dcai_cli.domain import MAX_SAMPLE_WORDS, Wire
from dcai_cli.features.checks import check_bool, check_int, check_string, check_unique, refuse
from dcai_cli.features.columns import Column, check_columns
from dcai_cli.features.dense import DENSE, MIN_LENGTH, VECTOR_COLUMN, NamedEncoder, check_dense
from dcai_cli.features.spec_json import KINDS, read_spec, write_spec
from dcai_cli.features.text import ANALYZERS, WORD

MIN_FEATURES, MAX_FEATURES = 2**8, 2**24
MIN_VOCABULARY = 2
MAX_SAMPLE_FEATURES = MAX_SAMPLE_WORDS
DEFAULT_SAMPLE_FEATURES = 1024
MAX_CLASSES = 16
MAX_NGRAM = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """How rows become samples of one model; `.text`, `.tabular` and `.dense` fill in the defaults.

    Args:
        kind: "text", "tabular" or "dense".
        labels: the label strings; a label's position is its class.
        label_column: the column that holds the label.
        n_features: size of the hash space, 2^8 to 2^24; or of the vocabulary; or the length of the vectors,
            and one more if they have a constant.
        max_features: indices of one sample at most, 1 to 4,096 and not above n_features.
        valued: whether counts travel as values (saturated at 127) or only presence.
        text_column: for text, the column that holds it.
        analyzer: for text, what n-grams are made of: "word", "char" or "char_wb".
        ngram_range: for text, the least and the greatest number of words or characters in a feature.
        lowercase: for text, whether it is lower-cased first.
        alternate_sign: for hashed text, whether half of the features, by their hash, count downwards.
        vocabulary: for text, the features that count, in the order of their indices; if empty, all count, and
            a hash gives their indices.
        columns: for tables, the columns in their order.
        vector_column: for vectors, the column that holds them.
        scale: for vectors, the decimal number that theirs are multiplied by, before they are rounded.
        constant: for vectors, the value of one more feature, the same in each, behind theirs; 0 for none.
        encoder: for vectors, what makes them of texts, if anything does.

    Attributes:
        positions: the index of each feature of the vocabulary.

    Raises:
        BadInput: a field has the wrong type or is out of range.
    """

    kind: str
    labels: tuple[str, ...]
    label_column: str
    n_features: int
    max_features: int
    valued: bool = False
    text_column: str = ""
    analyzer: str = WORD
    ngram_range: tuple[int, int] = (1, 1)
    lowercase: bool = True
    alternate_sign: bool = False
    vocabulary: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    vector_column: str = ""
    scale: str = ""
    constant: int = 0
    encoder: NamedEncoder | None = None
    positions: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_common(self)
        if self.kind == "text":
            _check_text(self)
        elif self.kind == DENSE:
            check_dense(self)
        else:
            _check_table(self)
        positions = {feature: index for index, feature in enumerate(self.vocabulary)}
        object.__setattr__(self, "positions", positions)

    @classmethod
    def text(
        cls,
        *,
        labels: Sequence[str],
        n_features: int | None = None,
        max_features: int | None = None,
        valued: bool = False,
        text_column: str = "text",
        label_column: str = "label",
        analyzer: str = WORD,
        ngram_range: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        alternate_sign: bool = False,
        vocabulary: Sequence[str] = (),
    ) -> Self:
        """Make the spec of a text model; with a vocabulary, n_features is its length.

        >>> FeatureSpec.text(labels=["ham", "spam"], n_features=4096).wire.max_features
        1024
        >>> FeatureSpec.text(labels=["ham", "spam"], vocabulary=["free", "prize"]).wire.n_features
        2
        """
        size = len(vocabulary) if n_features is None else n_features
        return cls(
            kind="text",
            labels=tuple(labels),
            label_column=label_column,
            n_features=size,
            max_features=_sample_features(max_features, size),
            valued=valued,
            text_column=text_column,
            analyzer=analyzer,
            ngram_range=ngram_range,
            lowercase=lowercase,
            alternate_sign=alternate_sign,
            vocabulary=tuple(vocabulary),
        )

    @classmethod
    def tabular(
        cls,
        *,
        labels: Sequence[str],
        columns: Sequence[Column],
        n_features: int,
        max_features: int | None = None,
        valued: bool = False,
        label_column: str = "label",
    ) -> Self:
        """Make the spec of a tabular model."""
        return cls(
            kind="tabular",
            labels=tuple(labels),
            label_column=label_column,
            n_features=n_features,
            max_features=_sample_features(max_features, n_features),
            valued=valued,
            columns=tuple(columns),
        )

    @classmethod
    def dense(
        cls,
        *,
        labels: Sequence[str],
        length: int,
        scale: str,
        constant: int = 0,
        max_features: int | None = None,
        vector_column: str = VECTOR_COLUMN,
        label_column: str = "label",
        encoder: NamedEncoder | None = None,
    ) -> Self:
        """Make the spec of a model of vectors, which sends all of their numbers unless told otherwise.

        >>> FeatureSpec.dense(labels=["ham", "spam"], length=384, scale="500", constant=127).wire.max_features
        385
        """
        n_features = length + (constant != 0)
        return cls(
            kind=DENSE,
            labels=tuple(labels),
            label_column=label_column,
            n_features=n_features,
            max_features=n_features if max_features is None else max_features,
            valued=True,
            vector_column=vector_column,
            scale=scale,
            constant=constant,
            encoder=encoder,
        )

    @property
    def length(self) -> int:
        """Numbers of a vector, for vectors."""
        return self.n_features - (self.constant != 0)

    @property
    def wire(self) -> Wire:
        """What the model's payloads may hold."""
        return Wire(self.n_features, self.max_features, len(self.labels), self.valued)

    def to_json(self) -> str:
        """Write the canonical JSON: sorted keys, no spaces, nothing escaped that need not be."""
        return write_spec(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec; the order of the keys and spaces do not matter, every field must be there.

        Args:
            text: JSON as a model publishes it.

        Raises:
            BadInput: not JSON, or a version, field, type or range that this program does not know.
        """
        return cls(**read_spec(text))


def _sample_features(max_features: int | None, n_features: int) -> int:
    return min(DEFAULT_SAMPLE_FEATURES, n_features) if max_features is None else max_features


def _sizes(spec: FeatureSpec) -> tuple[int, int]:
    """The least and the greatest n_features."""
    if spec.kind == DENSE:
        return MIN_LENGTH + (spec.constant != 0), MAX_SAMPLE_FEATURES
    return MIN_VOCABULARY if spec.vocabulary else MIN_FEATURES, MAX_FEATURES


def _check_common(spec: FeatureSpec) -> None:
    if spec.kind not in KINDS:
        refuse(f"kind {spec.kind!r} is not known; this program knows {', '.join(KINDS)}.")
    check_int("n_features", spec.n_features, *_sizes(spec))
    check_int("max_features", spec.max_features, 1, min(MAX_SAMPLE_FEATURES, spec.n_features))
    check_bool("valued", spec.valued)
    check_string("label_column", spec.label_column)
    for label in spec.labels:
        check_string("a label", label)
    if not 2 <= len(spec.labels) <= MAX_CLASSES:
        refuse(f"there are {len(spec.labels)} labels; a model has 2 to {MAX_CLASSES}.")
    check_unique("label", spec.labels)
    if spec.kind != DENSE and (spec.vector_column or spec.scale or spec.constant or spec.encoder):
        refuse("vector_column, scale, constant and encoder are for vectors.")


def _check_text(spec: FeatureSpec) -> None:
    check_string("text_column", spec.text_column)
    if not isinstance(spec.analyzer, str) or spec.analyzer not in ANALYZERS:
        refuse(f"analyzer {spec.analyzer!r} is not known; this program knows {', '.join(ANALYZERS)}.")
    check_bool("lowercase", spec.lowercase)
    check_bool("alternate_sign", spec.alternate_sign)
    if len(spec.ngram_range) != 2:
        refuse(f"ngram_range is {list(spec.ngram_range)}; it must be [least, greatest].")
    least, greatest = spec.ngram_range
    check_int("ngram_range[0]", least, 1, MAX_NGRAM)
    check_int("ngram_range[1]", greatest, least, MAX_NGRAM)
    if spec.text_column == spec.label_column:
        refuse(f"text_column and label_column are both {spec.text_column!r}.")
    if spec.vocabulary:
        _check_vocabulary(spec)


def _check_vocabulary(spec: FeatureSpec) -> None:
    for feature in spec.vocabulary:
        check_string("a feature of the vocabulary", feature)
    check_unique("feature", spec.vocabulary)
    if spec.n_features != len(spec.vocabulary):
        refuse(f"n_features is {spec.n_features}, and the vocabulary has {len(spec.vocabulary)} features.")
    if spec.alternate_sign:
        refuse("alternate_sign is true, and nothing is hashed where there is a vocabulary.")


def _check_table(spec: FeatureSpec) -> None:
    if spec.vocabulary or spec.alternate_sign:
        refuse("a vocabulary and alternate_sign are for text.")
    check_columns(spec.columns, spec.label_column)
