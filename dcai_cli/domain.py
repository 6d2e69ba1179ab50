"""The words of the protocol as Python values, and the few sums that every floor needs.

Nothing here reads, prints, connects or imports anything heavy.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dcai_cli.errors import BadInput, UsageError

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

MAX_BATCH_SAMPLES = 256
"""Samples of one batch at most: one bit each in the masks of a claim."""

MAX_TRANSACTION_GAS = 16_777_216
"""Gas of one transaction at most (EIP-7825)."""

MAX_TRANSACTION_BYTES = 128 * 1024
"""Bytes of one signed transaction at most, in the pools of most nodes."""

MAX_PAYLOAD_BYTES = 126_976
"""Bytes of one payload at most, so that a refund, which carries it again, fits a transaction, too."""

CLASSES = 2
"""Labels of a model: the perceptron tells two apart."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How a model reads samples: what its payloads may hold.

    Args:
        n_features: indices are 0 <= index < n_features; u16 up to 65,536, u24 above.
        max_features: indices of one sample at most.
        classes: labels are 0 <= label < classes.
        valued: whether each index carries an int8 value (otherwise every value is 1).
    """

    n_features: int
    max_features: int
    classes: int = CLASSES
    valued: bool = False

    @property
    def index_bytes(self) -> int:
        """Bytes of one index on the wire: 2 or 3."""
        return 2 if self.n_features <= 65_536 else 3


PERCEPTRON = "perceptron"
MULTICLASS_PERCEPTRON = "multiclass-perceptron"
NAIVE_BAYES = "naive-bayes"
NEAREST_CENTROID = "nearest-centroid"
MODEL_TYPES = (PERCEPTRON, MULTICLASS_PERCEPTRON, NAIVE_BAYES, NEAREST_CENTROID)
"""What models there are, by the names that the command line takes."""

_CLASSES = {
    PERCEPTRON: (2, 2),
    MULTICLASS_PERCEPTRON: (3, 16),
    NAIVE_BAYES: (2, 16),
    NEAREST_CENTROID: (2, 16),
}
_WEIGHT_BITS = {
    PERCEPTRON: (16, 8),
    MULTICLASS_PERCEPTRON: (16,),
    NAIVE_BAYES: (32,),
    NEAREST_CENTROID: (32,),
}
_WORD_BITS = 256
MAX_SAMPLE_WORDS = 4096
"""Words of storage that one sample may touch (`SparseModel.sol`): its refund, too, must fit a transaction,
whatever the model has become."""

MAX_BERNOULLI_LANES = 8192
"""Counts of a Bernoulli model at most: each of its verdicts is about all of them (`NaiveBayes.sol`)."""


@dataclass(frozen=True, slots=True)
class ModelParams:
    """The shape of a model, which never changes: the struct of the contracts, and the type of model.

    What a type has no use for is 0 or False.

    Args:
        model_type: one of `MODEL_TYPES`.
        n_features: 2 to 2^24.
        max_features: features of one sample at most, 1 to `most_features`.
        valued: whether each feature of a sample has an int8 value; otherwise every value is 1.
        classes: 2 to 16; labels are 0 <= label < classes.
        weight_bits: bits that a weight, count or sum takes in storage.
        margin: perceptrons: a sample trains unless its class leads by more than this per feature of it.
        smoothing: naive Bayes: what is added to every count, in 1/256.
        bernoulli: naive Bayes: presence and absence of features, instead of their numbers.

    Raises:
        BadInput: no model has this shape.

    >>> ModelParams("naive-bayes", 1000, 500, classes=3, weight_bits=32, smoothing=256).total_words
    503
    """

    model_type: str
    n_features: int
    max_features: int
    valued: bool = False
    classes: int = CLASSES
    weight_bits: int = 16
    margin: int = 0
    smoothing: int = 0
    bernoulli: bool = False

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise BadInput(f"No model can have this shape: {problem}.")

    @property
    def wire(self) -> Wire:
        """How it reads samples."""
        return Wire(self.n_features, self.max_features, self.classes, self.valued)

    @property
    def row_lanes(self) -> int:
        """Lanes of storage that one feature takes: a power of two that holds a number for each class."""
        return 1 if self.model_type == PERCEPTRON else 1 << (self.classes - 1).bit_length()

    @property
    def word_lanes(self) -> int:
        """Lanes in one word of storage."""
        return _WORD_BITS // self.weight_bits

    @property
    def most_features(self) -> int:
        """How many features a sample of such a model may have at most.

        Half of 4,096 where the numbers of one feature take two words of storage: nine to sixteen classes of
        32 bits do.
        """
        return MAX_SAMPLE_WORDS // max(1, -(-self.classes * self.weight_bits // _WORD_BITS))

    @property
    def body_words(self) -> int:
        """Words of weights, counts or sums; the header words stand behind them."""
        return -(-self.n_features * self.row_lanes // self.word_lanes)

    @property
    def total_words(self) -> int:
        """All words of the model."""
        if self.model_type in {PERCEPTRON, MULTICLASS_PERCEPTRON}:
            return self.body_words + 1
        return self.body_words + -(-self.classes // 2) + (self.model_type == NAIVE_BAYES)

    def as_tuple(self) -> tuple[int, int, bool, int, int, int, int, bool]:
        """The struct `ModelParams` of the contracts, in its order."""
        return (
            self.n_features,
            self.max_features,
            self.valued,
            self.classes,
            self.weight_bits,
            self.margin,
            self.smoothing,
            self.bernoulli,
        )

    def _problem(self) -> str:
        """What the contract refuses about it, or nothing."""
        if self.model_type not in MODEL_TYPES:
            return f"{self.model_type!r} is none of {', '.join(MODEL_TYPES)}"
        bayes = self.model_type == NAIVE_BAYES
        if self.bernoulli and (self.valued or not bayes):
            return "only naive Bayes without values can be Bernoulli"
        least, most = _CLASSES[self.model_type]
        perceptron = self.model_type in {PERCEPTRON, MULTICLASS_PERCEPTRON}
        ranges = {
            "features": (self.n_features, 2, 4096 if self.bernoulli else 2**24),
            "features in a sample": (self.max_features, 1, self.most_features),
            "classes": (self.classes, least, most),
            "margin": (self.margin, 0, 65_535 if perceptron else 0),
            "smoothing": (self.smoothing, int(bayes), 65_535 if bayes else 0),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                return f"{name}: {value:,}, where a {self.model_type} model takes {low:,} to {high:,}"
        if self.weight_bits not in _WEIGHT_BITS[self.model_type]:
            return f"{self.weight_bits} bits are no width of a {self.model_type} model"
        if self.bernoulli and self.n_features * self.row_lanes > MAX_BERNOULLI_LANES:
            return (
                f"{self.n_features:,} features with {self.classes} classes are more than Bernoulli naive "
                f"Bayes can look through in a transaction; it takes {MAX_BERNOULLI_LANES // self.row_lanes:,}"
            )
        return ""


@dataclass(frozen=True, slots=True)
class Vector:
    """A sparse integer vector: strictly increasing feature indices, and a value for each.

    Args:
        indices: strictly increasing feature indices.
        values: one integer for each index, never 0; counts for text.
    """

    indices: tuple[int, ...]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its number and its cells as strings.

    Args:
        number: 1 for the first row of data (a header is not counted).
        cells: column name to cell, every cell a string.
        vector: the numbers of the column that was asked for as a vector, where the file has it as numbers;
            that column is not among the cells then. Numbers that are not there are nan.
    """

    number: int
    cells: dict[str, str]
    vector: NDArray[np.float64] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """The money side of a model: its time-outs (seconds) and its price.

    Args:
        refund_wait_s: from here the contributor can take its deposit back.
        report_wait_s: from here others can take the deposit of a rejected sample.
        owner_wait_s: from here the model's owner can sweep what is left.
        public_wait_s: from here anybody can.
        min_gap_s: the least distance between refund, report and owner wait.
        max_idle_s: idle seconds count up to here in the price.
        cost_weight_wei: the price of a sample; c = cost_weight_wei * 3600.
    """

    refund_wait_s: int
    report_wait_s: int
    owner_wait_s: int
    public_wait_s: int
    min_gap_s: int
    max_idle_s: int
    cost_weight_wei: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The committed meta-data of one batch, as the data handler hashes it."""

    id: int
    contributor: str
    added_at: int
    deposit_per_unit_wei: int
    count: int
    units: int
    informative: int
    samples_root: bytes

    @property
    def deposit_wei(self) -> int:
        """The whole deposit of the batch."""
        return self.deposit_per_unit_wei * self.units

    def as_tuple(self) -> tuple[int, str, int, int, int, int, int, bytes]:
        """The struct `Batch` of the contracts, in its order."""
        return (
            self.id,
            self.contributor,
            self.added_at,
            self.deposit_per_unit_wei,
            self.count,
            self.units,
            self.informative,
            self.samples_root,
        )


_DURATION = re.compile(r"(\d{1,20})(s|m|h|d|w)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(text: str) -> int:
    """Read a duration such as 90s, 15m, 25h or 2d.

    Args:
        text: a whole number with a unit (s, m, h, d, w); a bare number is seconds.

    Returns:
        The duration in seconds.

    Raises:
        UsageError: the text is not a duration.

    >>> parse_duration("25h")
    90000
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a duration.", hint="Write for instance 90s, 15m, 25h or 2d.")
    return int(match[1]) * _SECONDS[match[2] or "s"]


def format_duration(seconds: int) -> str:
    """Write a duration for people, in its two largest units.

    >>> format_duration(90_061)
    '1 d 1 h'
    """
    parts = []
    rest = abs(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"


_AMOUNT = re.compile(r"(\d{1,80})(?:\.(\d{1,80}))?\s*(wei|gwei|eth|ether)?", re.IGNORECASE)
_UNIT_DIGITS = {"wei": 0, "gwei": 9, "eth": 18, "ether": 18}


def parse_amount(text: str) -> int:
    """Read an amount of money such as 1500000, 20gwei or 0.5ether.

    Args:
        text: digits, perhaps with a fraction, and a unit (wei, gwei, eth, ether); without one it is wei.

    Returns:
        The amount in wei.

    Raises:
        UsageError: the text is no amount, or finer than a wei.

    >>> parse_amount("0.5ether")
    500000000000000000
    """
    match = _AMOUNT.fullmatch(text.strip())
    digits = _UNIT_DIGITS[(match[3] or "wei").lower()] if match else 0
    fraction = (match[2] or "").rstrip("0") if match else ""
    if match is None or len(fraction) > digits:
        raise UsageError(
            f"{text!r} is not an amount.", hint="Write for instance 0.5ether, 20gwei or 1500000 (wei)."
        )
    whole = int(match[1]) * int(10**digits)
    return whole + int(fraction.ljust(digits, "0") or 0)


_PERCENT = re.compile(r"(\d{1,80}(?:\.\d{1,80})?)\s*%?")


def parse_percent(text: str) -> Fraction:
    """Read a number of percent, 0 or more, such as 25 or 12.5.

    Raises:
        UsageError: the text is no such number.

    >>> parse_percent("12.5")
    Fraction(25, 2)
    """
    from fractions import Fraction

    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not a number of percent, 0 or more.", hint="Write for instance 25, or 12.5."
        )
    return Fraction(match[1])


LAST_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999, the last that ISO 8601 can write."""


def iso_time(timestamp: int) -> str:
    """Write a chain timestamp as ISO 8601 in UTC; whatever is later, as the last second of the year 9999.

    >>> iso_time(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(min(timestamp, LAST_TIMESTAMP), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_gwei(amount_wei: int) -> str:
    """Write the price of a unit of gas in gwei, exactly, without the unit.

    >>> format_gwei(1_500_000_000), format_gwei(7), format_gwei(20 * 10**9)
    ('1.5', '0.000000007', '20')
    """
    whole, part = divmod(amount_wei, 10**9)
    return f"{whole:,}.{part:09d}".rstrip("0").rstrip(".")


def format_ether(amount_wei: int) -> str:
    """Write an amount for people in ether, so that those beside each other compare; wei below a gwei.

    A small one has three digits, as many as the sixth decimal leaves to the others.

    >>> format_ether(1_500_000_000_000_000_000), format_ether(6_685_032_174_500), format_ether(6 * 10**12)
    ('1.5 ETH', '0.00000669 ETH', '0.000006 ETH')
    """
    if amount_wei == 0:
        return "0 ETH"
    if abs(amount_wei) < 10**9:
        return f"{amount_wei} wei"
    ether = abs(amount_wei) / 10**18
    decimals = 6 if ether >= 10**-4 else 2 - math.floor(math.log10(ether))
    return f"{amount_wei / 10**18:,.{decimals}f}".rstrip("0").rstrip(".") + " ETH"


def told_apart(amount_wei: int, other_wei: int) -> tuple[str, str]:
    """Write two amounts for people who compare them: in wei where rounding would make them look the same.

    >>> told_apart(72 * 10**15, 10**16), told_apart(10**16 + 1, 10**16)
    (('0.072 ETH', '0.01 ETH'), ('10000000000000001 wei', '10000000000000000 wei'))
    """
    amount, other = format_ether(amount_wei), format_ether(other_wei)
    if amount == other and amount_wei != other_wei:
        return f"{amount_wei} wei", f"{other_wei} wei"
    return amount, other


def counted(number: int, one: str, many: str = "") -> str:
    """Write how many there are of something.

    Args:
        number: how many.
        one: what one of them is called, and what follows it.
        many: the same of any other number; with an s behind it, or es, if left out.

    >>> counted(1, "row"), counted(2_000, "row"), counted(0, "batch"), counted(2, "one is", "ones are")
    ('1 row', '2,000 rows', '0 batches', '2 ones are')
    """
    return f"{number:,} {one if number == 1 else many or one + ('es' if one.endswith('ch') else 's')}"


def bits(mask: int) -> list[int]:
    """The positions of the set bits of a mask, lowest first.

    >>> bits(0b1010)
    [1, 3]
    """
    return [position for position in range(mask.bit_length()) if mask >> position & 1]
