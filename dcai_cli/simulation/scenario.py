"""Scenario files: who takes part in what, in TOML. docs/simulation.md describes every field."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dcai_cli.domain import MAX_SAMPLE_WORDS, MODEL_TYPES, PERCEPTRON, Terms
from dcai_cli.errors import BadInput, UsageError
from dcai_cli.files import example
from dcai_cli.services.limits import check_name, check_terms
from dcai_cli.simulation.agents import Agent, read_agent
from dcai_cli.simulation.fields import Fields
from dcai_cli.simulation.rules import Variant

Kind = TypeVar("Kind")

NOBODY = "owner"
"""The account that owns a model of which no agent is the owner."""

ACCURACY = "accuracy"
"""What the curve beside those of the agents is called."""


@dataclass(frozen=True, slots=True)
class DataPlan:
    """Where samples come from.

    Args:
        train: files, globs of them, hf:owner/name[:split], or what scikit-learn brings along.
        test: the same, for the test set; empty for a share of the others.
        test_share: this share.
        labels: the labels, class 0 first.
        text_column: the column of the text.
        label_column: the column of the label.
        initial: rows that the model starts with.
        limit: rows read at most, of each; 0 for all.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    test_share: float
    labels: tuple[str, ...]
    text_column: str
    label_column: str
    initial: int
    limit: int


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How rows become samples.

    Args:
        kind: "text", "tabular" or "dense".
        n_features: size of the hash space.
        max_features: features of one sample at most, but for vectors.
        vocabulary: for text, so many of the most frequent words count; 0 to hash.
        schema: for tables, the schema file; empty where every column is a number.
        quantiles: for tables without a schema, into how many shares each column is parted.
        vector_column: for vectors, their column.
        scale: for vectors, what their numbers are multiplied by.
        constant: for vectors, the value of one more feature; 0 for none.
    """

    kind: str
    n_features: int
    max_features: int
    vocabulary: int
    schema: str
    quantiles: int
    vector_column: str
    scale: str
    constant: int


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """The type of the model; None is what the type has by itself."""

    model_type: str
    margin: int | None
    weight_bits: int | None
    bernoulli: bool

    def options(self) -> dict[str, Any]:
        """What `model_params` takes."""
        return {
            "model_type": self.model_type,
            "margin": self.margin,
            "weight_bits": self.weight_bits,
            "bernoulli": self.bernoulli,
        }


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated.

    Args:
        name: as a model's.
        title: what it is about.
        seed: what all that is random follows from.
        duration_s: how long agents contribute.
        settle_s: how long they only claim, then.
        measure_every_s: how often balances and accuracy are measured.
        data: where samples come from.
        features: how rows become samples.
        model: what they train.
        terms: time-outs and price.
        variant: other rules than the contracts'.
        agents: who takes part.
    """

    name: str
    title: str
    seed: int
    duration_s: int
    settle_s: int
    measure_every_s: int
    data: DataPlan
    features: FeaturePlan
    model: ModelPlan
    terms: Terms
    variant: Variant
    agents: tuple[Agent, ...] = field(repr=False)

    @property
    def end_s(self) -> int:
        """When it is over."""
        return self.duration_s + self.settle_s

    @property
    def owner(self) -> str:
        """The account that owns the model: an agent's, or nobody's."""
        return next((agent.accounts[0] for agent in self.agents if agent.is_owner), NOBODY)


def bundled_scenarios(folder: str = "scenarios") -> dict[str, Path]:
    """The files of the scenarios that come along, by their names.

    Args:
        folder: of the examples: `scenarios` for `dcai simulate`, `markets` for `dcai market simulate`.
    """
    return {path.stem: path for path in sorted(example(folder).glob("*.toml"))}


def find_scenario(named: Path, folder: str = "scenarios") -> Path:
    """The file of a scenario.

    Args:
        named: a file; or the bare name of a scenario that comes along, if there is no file of that name.
        folder: as `bundled_scenarios` takes it.

    Raises:
        BadInput: there is neither.
    """
    try:
        if named.exists() and not named.is_dir():
            return named
    except OSError as error:  # too long a name, or in a folder that is not one's own
        raise BadInput(f"{named} cannot be read: {error.strerror}.", hint="Check the name.") from error
    bundled = bundled_scenarios(folder)
    if str(named) in bundled:
        return bundled[str(named)]
    near = difflib.get_close_matches(named.stem, bundled, 1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise BadInput(
        f"There is no scenario {named}.",
        hint=f"{meant}Name a file, or one that comes along: {', '.join(bundled)}.",
    )


def read_scenario(path: Path, changes: Mapping[str, object] | None = None) -> Scenario:
    """Read a scenario file.

    Args:
        path: the file; with `base`, it only says what it has beside another file, or in place of it.
        changes: values that take the place of the file's, by dotted name, as "terms.refund_wait" or
            "agents.bad.wait".

    Raises:
        BadInput: it cannot be read, or says what cannot be.
    """
    return read_file(path, changes, _scenario)


def read_file(
    path: Path, changes: Mapping[str, object] | None, read: Callable[[Path, dict[str, Any]], Kind]
) -> Kind:
    """Read a scenario file of any kind.

    Args:
        path: the file; with `base`, it only says what it has beside another file, or in place of it.
        changes: values that take the place of the file's, by dotted name.
        read: makes of the file's name and its tables what they mean.

    Raises:
        BadInput: it cannot be read, or says what cannot be.
    """
    table = _read_toml(path)
    for name, value in (changes or {}).items():
        _change(table, name, value)
    try:
        return read(path, table)
    except UsageError as error:  # all of it stands in the file
        raise BadInput(f"{path}: {error.message}", hint=error.hint) from None


_DEEPEST = 8

_MOST_BURNED = 0.99
"""Of what a contribution costs; something has to be left as its deposit."""


def _read_toml(path: Path, depth: int = 0) -> dict[str, Any]:
    """A file over those that it names as its base."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", hint="Check the name.") from error
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}.", hint="See those in examples.") from error
    except RecursionError:
        raise BadInput(
            f"{path} has lists or tables too deep in each other.", hint="See those in examples."
        ) from None
    if "base" not in table:
        return table
    base = Fields("the top", table).text("base")
    if depth == _DEEPEST:
        raise BadInput(
            f"{path} has a base, {base}, at the end of {_DEEPEST} others.", hint="Look for a circle."
        )
    del table["base"]
    return _merged(_read_toml(path.parent / base, depth + 1), table)


def _merged(base: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """A table over its base: lists, such as the agents, are those of both."""
    merged = dict(base)
    for name, value in table.items():
        below = base.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[name] = _merged(below, value)
        elif isinstance(below, list) and isinstance(value, list):
            merged[name] = [*below, *value]
        else:
            merged[name] = value
    return merged


def _change(table: dict[str, Any], name: str, value: object) -> None:
    """Put a value where a dotted name says."""
    *way, last = name.split(".")
    place: Any = table
    for step in way:
        if isinstance(place, list):
            place = next((one for one in place if isinstance(one, dict) and one.get("name") == step), None)
        else:
            place = place.setdefault(step, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise UsageError(
            f"The scenario has no {name}.", hint="Write for instance terms.refund_wait or agents.NAME.wait."
        )
    place[last] = value


def _scenario(path: Path, table: dict[str, Any]) -> Scenario:
    fields = Fields("the top", table)
    name = fields.text("name", path.stem)
    check_name(name)
    scenario = Scenario(
        name=name,
        title=fields.text("title", name),
        seed=fields.count("seed", 1),
        duration_s=fields.duration("duration", least=1),
        settle_s=fields.duration("settle", "11d"),
        measure_every_s=fields.duration("measure_every", "1d", least=1),
        data=read_data(fields.table("data")),
        features=read_features(fields.table("features")),
        model=_model(fields.table("model")),
        terms=_terms(fields.table("terms")),
        variant=_variant(fields.table("variant")),
        agents=tuple(read_agent(one) for one in fields.tables("agents")),
    )
    fields.end()
    _check_names(path, scenario.agents)
    if sum(agent.is_owner for agent in scenario.agents) > 1:
        raise BadInput(f"Two agents of {path} own the model.", hint="One does at most.")
    return scenario


def _check_names(path: Path, agents: Sequence[Agent]) -> None:
    """Refuse agents that could not be told apart, by their own names or those of their accounts."""
    hint = "Give them other names."
    for what, names in (
        ("the name", [agent.name for agent in agents]),
        ("an account", [account for agent in agents for account in agent.accounts]),
    ):
        for name, times in Counter(names).items():
            if times > 1:
                raise BadInput(f"Two agents of {path} have {what} {name}.", hint=hint)
    for agent in agents:
        if agent.name == ACCURACY:
            raise BadInput(
                f"An agent of {path} is called {ACCURACY}, as the curve of the model's accuracy is.",
                hint="Give it another name.",
            )
        if NOBODY in agent.accounts and not agent.is_owner:
            raise BadInput(
                f"An agent of {path} is called {NOBODY}, and would own the model, which no agent does.",
                hint='Give it another name, or the strategy "owner".',
            )


def read_data(fields: Fields) -> DataPlan:
    """The table [data]."""
    plan = DataPlan(
        train=fields.texts("train"),
        test=fields.texts("test", ()),
        test_share=fields.number("test_share", 0.3, least=0.01, most=0.9),
        labels=fields.texts("labels"),
        text_column=fields.text("text_column", "text"),
        label_column=fields.text("label_column", "label"),
        initial=fields.count("initial", 0),
        limit=fields.count("limit", 0),
    )
    fields.end()
    return plan


def read_features(
    fields: Fields,
    *,
    kinds: Sequence[str] = ("text", "tabular", "dense"),
    n_features: tuple[int, int] = (16_384, 2**24),
    max_features: tuple[int, int] = (1_024, MAX_SAMPLE_WORDS),
) -> FeaturePlan:
    """The table [features].

    Args:
        fields: the table.
        kinds: what its kind may be; without `dense` it has no fields for vectors.
        n_features: what they are if left out, and at most.
        max_features: the same.
    """
    is_dense = "dense" in kinds
    usual, most = n_features
    plan = FeaturePlan(
        kind=fields.text("kind", "text", of=kinds),
        n_features=fields.count("n_features", usual, least=256, most=most),
        max_features=fields.count("max_features", max_features[0], least=1, most=max_features[1]),
        vocabulary=fields.count("vocabulary", 0),
        schema=fields.text("schema", ""),
        quantiles=fields.count("quantiles", 8, least=2, most=256),
        vector_column=fields.text("vector_column", "vector") if is_dense else "",
        scale=fields.decimal("scale", "1") if is_dense else "1",
        constant=fields.count("constant", 0, most=127) if is_dense else 0,
    )
    fields.end()
    return plan


def _model(fields: Fields) -> ModelPlan:
    plan = ModelPlan(
        model_type=fields.text("type", PERCEPTRON, of=MODEL_TYPES),
        margin=fields.count("margin", most=65_535) if "margin" in fields else None,
        weight_bits=fields.count("weight_bits") if "weight_bits" in fields else None,
        bernoulli=fields.flag("bernoulli", default=False),
    )
    fields.end()
    return plan


def _terms(fields: Fields) -> Terms:
    terms = Terms(
        refund_wait_s=fields.duration("refund_wait", "1d"),
        report_wait_s=fields.duration("report_wait", "2d"),
        owner_wait_s=fields.duration("owner_wait", "7d"),
        public_wait_s=fields.duration("public_wait", "9d"),
        min_gap_s=fields.duration("min_gap", "0s"),
        max_idle_s=fields.duration("max_idle", "1h"),
        cost_weight_wei=fields.amount("cost_weight", least=1),
    )
    fields.end()
    check_terms(terms)
    return terms


def _variant(fields: Fields) -> Variant:
    variant = Variant(
        looks_apart_s=fields.duration("looks_apart", "0s"),
        burned_bp=round(fields.number("burned", 0.0, most=_MOST_BURNED) * 10_000),
        standing=fields.text("standing", "units", of=("units", "wei", "changes")),
    )
    fields.end()
    return variant
