"""What the contracts take of a new model, checked before anything is sent, and refused in words."""

from __future__ import annotations

import re

from dcai_cli.domain import (
    MULTICLASS_PERCEPTRON,
    NAIVE_BAYES,
    PERCEPTRON,
    ModelParams,
    Terms,
    format_duration,
)
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.dense import DENSE
from dcai_cli.features.spec import FeatureSpec

MAX_WAIT_S = 36_525 * 86_400
"""The longest wait, gap and idle time that the contracts take: a hundred years (`StakeIncentive.sol`)."""

MAX_COST_WEIGHT_WEI = 10**24
"""The highest cost weight that the contracts take (`StakeIncentive.sol`)."""

MAX_SPEC_BYTES = 24_575
"""The longest feature spec that the contracts take (`CodeStorage.sol`)."""


def points_terms(wait_s: int) -> Terms:
    """The terms of a model without money: how long until a sample can earn its point."""
    return Terms(wait_s, 0, 0, 0, 0, 0, 0)


def check_terms(terms: Terms, incentive_type: str = "stake") -> None:
    """Refuse terms that the contract would refuse, in words.

    Raises:
        UsageError: the waits are not in order, or closer than the gap; or something is too large.
    """
    limits = (
        ("refund wait", terms.refund_wait_s),
        ("report wait", terms.report_wait_s),
        ("owner wait", terms.owner_wait_s),
        ("public wait", terms.public_wait_s),
        ("least gap", terms.min_gap_s),
        ("most idle time", terms.max_idle_s),
    )
    for what, seconds in limits:
        if seconds > MAX_WAIT_S:
            raise UsageError(
                f"The {what} is {format_duration(seconds)}; the contracts take {format_duration(MAX_WAIT_S)} "
                "at most.",
                hint="Shorten it.",
            )
    if terms.cost_weight_wei > MAX_COST_WEIGHT_WEI:
        raise UsageError(
            f"The cost weight is {terms.cost_weight_wei} wei; the contracts take {MAX_COST_WEIGHT_WEI} wei "
            "at most.",
            hint="Lower --cost-weight.",
        )
    if terms.refund_wait_s <= 0:
        raise UsageError(
            "The refund wait must be longer than 0 s.", hint="Write for instance --refund-wait 1d."
        )
    if incentive_type == "points":
        if terms != points_terms(terms.refund_wait_s):
            raise UsageError("Points take a refund wait and nothing else.", hint="Leave the rest out.")
        return
    gap_s = max(terms.min_gap_s, 1)  # also without one the first three are not at once
    order = (
        ("refund wait", terms.refund_wait_s, "report wait", terms.report_wait_s, gap_s),
        ("report wait", terms.report_wait_s, "owner wait", terms.owner_wait_s, gap_s),
        ("owner wait", terms.owner_wait_s, "public wait", terms.public_wait_s, 0),
    )
    for earlier, earlier_s, later, later_s, least_s in order:
        if earlier_s + least_s > later_s:
            raise UsageError(
                f"The {later} ({format_duration(later_s)}) must be at least {format_duration(least_s)} "
                f"after the {earlier} ({format_duration(earlier_s)}).",
                hint="Lengthen it, or shorten --min-gap.",
            )


def check_name(name: str) -> None:
    """Refuse a name that the registry would refuse.

    Raises:
        UsageError: the name has other characters, or too many.
    """
    if re.fullmatch(r"[a-z0-9-]{1,32}", name) is None:
        raise UsageError(
            f"{name!r} cannot be the name of a model.",
            hint="Use 1 to 32 lower-case letters, digits and dashes.",
        )


def check_spec(spec: FeatureSpec) -> None:
    """Refuse a feature spec that the contract would refuse.

    Raises:
        UsageError: it is too long.
    """
    size = len(spec.to_json().encode())
    if size > MAX_SPEC_BYTES:
        raise UsageError(
            f"The feature spec has {size:,} bytes; the contracts take {MAX_SPEC_BYTES:,} at most.",
            hint="Use a smaller vocabulary, or fewer or shorter columns, bins and labels.",
        )


def model_params(
    spec: FeatureSpec,
    *,
    model_type: str = PERCEPTRON,
    margin: int | None = None,
    weight_bits: int | None = None,
    smoothing: int | None = None,
    bernoulli: bool = False,
) -> ModelParams:
    """The shape of a model for a feature spec.

    Args:
        spec: the feature spec.
        model_type: its type; a perceptron of more than two labels is a multi-class one.
        margin: the perceptrons' margin per active feature; 2 if None.
        weight_bits: 8 or 16 for a perceptron of two labels; what the type has if None.
        smoothing: naive Bayes: what is added to every count, in 1/256; 256 if None.
        bernoulli: naive Bayes: presence and absence, instead of numbers.

    Raises:
        UsageError: no model can have this shape.
    """
    if model_type == PERCEPTRON and len(spec.labels) > 2:
        model_type = MULTICLASS_PERCEPTRON
    if model_type == NAIVE_BAYES and spec.alternate_sign and spec.valued:
        raise UsageError(
            "naive-bayes counts, and --alternate-sign makes counts negative.",
            hint="Leave out --alternate-sign or --counts.",
        )
    if model_type == NAIVE_BAYES and spec.kind == DENSE:
        raise UsageError(
            "naive-bayes counts, and vectors have negative numbers.",
            hint="Choose --model-type nearest-centroid or perceptron.",
        )
    perceptron = model_type in {PERCEPTRON, MULTICLASS_PERCEPTRON}
    bayes = model_type == NAIVE_BAYES
    try:
        return ModelParams(
            model_type=model_type,
            n_features=spec.n_features,
            max_features=spec.max_features,
            valued=spec.valued,
            classes=len(spec.labels),
            weight_bits=weight_bits if weight_bits is not None else (16 if perceptron else 32),
            margin=margin if margin is not None else (2 if perceptron else 0),
            smoothing=smoothing if smoothing is not None else (256 if bayes else 0),
            bernoulli=bernoulli,
        )
    except BadInput as error:
        raise UsageError(error.message, hint="See what each type takes: dcai model deploy --help") from None
