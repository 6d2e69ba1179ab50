"""The rows of the benchmark: what is sent, in which order, and what counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.gas.models import DAY_S, Contribution, Model, Registry
from benchmarks.gas.network import Network
from benchmarks.gas.reviews import HASHED, MAX_FEATURES, WORDS, Reviews
from dcai_cli.chain.registry import DATA_HANDLER, INCENTIVE_CONTRACTS, MODEL_CONTRACTS, TRAINER
from dcai_cli.domain import ModelParams, Vector, Wire
from dcai_cli.features.payload import encode_sample
from dcai_cli.models import make_replica

BATCH_SIZE = 100
BATCHES = 3
SINGLES = 40
TOGETHER = 10
REPORTS = 5
REFERENCE_FEATURES = 94
"""Words of the reviews that the reference's figures are for."""

HOUR_S = 3_600

Figures = Mapping[str, float]
"""What a row says, by name: gas per sample (`sum` is what goals are for), and what describes the samples."""


@dataclass(frozen=True)
class Shape:
    """A model to measure.

    Args:
        key: what its rows are called in gas.json.
        params: its type and shape.
        singles: whether batches of one sample are measured, too.
    """

    key: str
    params: ModelParams
    singles: bool = False


def shapes() -> list[Shape]:
    """All models that are measured."""
    found = []
    for name, n_features, most in (("words", WORDS, WORDS), ("hashed", HASHED, MAX_FEATURES)):
        for bits_ in (16, 8):
            for margin in (0, 2):
                params = ModelParams("perceptron", n_features, most, weight_bits=bits_, margin=margin)
                singles = name == "words" and (bits_ == 16 or margin == 0)
                found.append(Shape(f"perceptron {name} int{bits_} margin {margin}", params, singles))
    bayes = ModelParams("naive-bayes", WORDS, WORDS, weight_bits=32, smoothing=256)
    centroid = ModelParams("nearest-centroid", WORDS, WORDS, weight_bits=32)
    return [*found, Shape("naive-bayes words", bayes), Shape("nearest-centroid words", centroid)]


def measure(network: Network, reviews: Reviews, progress: Callable[[str], None]) -> dict[str, Figures]:
    """All rows, by their keys."""
    registry = Registry(network)
    rows: dict[str, Figures] = {}
    by_features = {WORDS: reviews.by_rank(), HASHED: reviews.hashed()}
    for shape in shapes():
        progress(f"{reviews.name}: {shape.key}")
        samples = by_features[shape.params.n_features]
        model = pretrained(registry, shape, samples.training)
        batches = [samples.contributed[at * BATCH_SIZE :][:BATCH_SIZE] for at in range(BATCHES + 1)]
        rows[f"{shape.key}, batch 100"] = whole = batches_of_100(model, batches)
        if shape.singles:
            first = (BATCHES + 1) * BATCH_SIZE
            singles = samples.contributed[first : first + SINGLES]
            mover = samples.contributed[first + SINGLES :][:BATCH_SIZE]
            alone, together = single_samples(model, singles, mover, whole["update_rate"])
            rows[f"{shape.key}, batch 1"] = alone
            rows[f"{shape.key}, batch 1, ten refunded at once"] = together
    progress(f"{reviews.name}: reports and deployment")
    for shape in (shapes()[2], shapes()[0]):
        lanes = f"int{shape.params.weight_bits}"
        model = pretrained(registry, shape, by_features[WORDS].training, name=f"reported-{lanes}")
        rows |= reports(model, by_features[WORDS].contributed, lanes)
    rows["deploy 1,000 words"] = deployment(registry, model)
    rows["calldata bytes per feature, up to 2^16 features"] = {"sum": feature_bytes(1 << 16)}
    rows["calldata bytes per feature, above"] = {"sum": feature_bytes((1 << 16) + 1)}
    return rows


def pretrained(registry: Registry, shape: Shape, training: Sequence[bytes], name: str = "") -> Model:
    """Deploy a model that its replica was trained for, by the same rule."""
    replica = make_replica(shape.params)
    replica.train(b"".join(training))
    named = (name or shape.key).lower().replace(" ", "-")[:32]
    return registry.deploy(named, replica)


def batches_of_100(model: Model, batches: Sequence[Sequence[bytes]]) -> Figures:
    """Batches, an hour apart, by an account each; a day later each is refunded.

    The last one only moves the model before that. A refund counts by the samples that it paid for, not by
    those that it looked at.
    """
    sent = []
    for number, samples in enumerate(batches):
        model.network.wait(HOUR_S)
        sent.append(model.contribute(f"contributor {number}", samples))
    model.network.wait(DAY_S)
    measured = sent[:-1]
    refunds = [model.refund(contribution) for contribution in measured]
    count = sum(contribution.batch.count for contribution in measured)
    paid = sum(refund.samples for refund in refunds)
    return _figures(
        contribute=sum(contribution.gas for contribution in measured) / count,
        refund=sum(refund.gas for refund in refunds) / paid,
        update_rate=sum(contribution.updates for contribution in measured) / count,
        refunded=paid / count,
        features=_features(measured),
    )


def single_samples(
    model: Model, samples: Sequence[bytes], mover: Sequence[bytes], update_rate: float
) -> tuple[Figures, Figures]:
    """Batches of one sample: each refunded alone, and the last ten in one transaction, as the client does it.

    Few samples hit the update rate by chance only; so those that update and those that do not are averaged
    apart, and mixed by the rate of the batches of 100.
    """
    sent = []
    for sample in samples:
        model.network.wait(HOUR_S)
        sent.append(model.contribute("contributor of one", [sample]))
    model.contribute("mover", mover)
    model.network.wait(DAY_S)
    disagreed = set(model.disagreed(samples))
    agreed = [contribution for number, contribution in enumerate(sent) if number not in disagreed]
    updating = [contribution.gas for contribution in sent if contribution.updates]
    others = [contribution.gas for contribution in sent if not contribution.updates]
    alone, together = agreed[:-TOGETHER], agreed[-TOGETHER:]
    refunds = (mean(model.refund(one).gas for one in alone), model.refund(*together).gas / TOGETHER)
    first, second = (
        _figures(
            contribute=update_rate * mean(updating) + (1 - update_rate) * mean(others),
            refund=refund,
            update_rate=update_rate,
            refunded=len(agreed) / len(samples),
            features=_features(sent),
        )
        for refund in refunds
    )
    return first, second


def reports(model: Model, contributed: Sequence[bytes], lanes: str) -> dict[str, Figures]:
    """Wrong labels, reported by one of two validated contributors: one of a batch, and twenty of another.

    Nobody claimed on these batches before, so the report pays for their accounts, too. What is reported has
    about as many features as the samples that the reference was measured with.
    """
    network = model.network
    parts = iter([contributed[at : at + BATCH_SIZE] for at in range(0, len(contributed), BATCH_SIZE)])
    reporters = [model.contribute(f"reporter {number}", next(parts)) for number in range(2)]
    wrong = []
    for count in (1,) * REPORTS + (20,):
        network.wait(HOUR_S)
        every = 10 if count == 1 else 2
        samples = [_flipped(sample) if at % every == 0 else sample for at, sample in enumerate(next(parts))]
        wrong.append((count, every, model.contribute("careless", samples)))
    network.wait(DAY_S)
    for reporter in reporters:
        model.refund(reporter)
    # Honest data that comes in between moves the model back.
    model.contribute("mover", next(parts))
    network.wait(DAY_S)
    gas: dict[int, list[float]] = {1: [], 20: []}
    sizes: dict[int, list[int]] = {1: [], 20: []}
    for count, every, contribution in wrong:
        sent = contribution.samples
        bad = [number for number in model.disagreed(sent) if number % every == 0]
        chosen = sorted(bad, key=lambda number: abs(_size(sent[number]) - REFERENCE_FEATURES))[:count]
        gas[count].append(model.report("reporter 0", contribution, sorted(chosen)) / count)
        sizes[count] += [_size(sent[number]) for number in chosen]
    return {
        f"report {count} of 100, {lanes}": {
            "sum": round(mean(gas[count])),
            "features": round(mean(sizes[count]), 1),
        }
        for count in (1, 20)
    }


def deployment(registry: Registry, model: Model) -> Figures:
    """The steps of a model; beside them what is paid once per chain, whatever the number of models."""
    once = (TRAINER, MODEL_CONTRACTS["perceptron"], INCENTIVE_CONTRACTS["stake"], DATA_HANDLER)
    return {
        **model.deploy_gas,
        "sum": sum(model.deploy_gas.values()),
        "once_per_chain": registry.gas + sum(registry.install_gas[name] for name in once),
    }


def feature_bytes(n_features: int) -> int:
    """What one more feature adds to a sample."""
    wire = Wire(n_features, MAX_FEATURES)
    one, two = (encode_sample(0, Vector(tuple(range(n)), (1,) * n), wire) for n in (1, 2))
    return len(two) - len(one)


def _figures(
    *, contribute: float, refund: float, update_rate: float, refunded: float, features: float
) -> Figures:
    return {
        "contribute": round(contribute),
        "refund": round(refund),
        "sum": round(contribute) + round(refund),
        "update_rate": round(update_rate, 3),
        "refunded": round(refunded, 3),
        "features": round(features, 1),
    }


def _features(contributions: Sequence[Contribution]) -> float:
    """Features of a sample, on average."""
    return mean(_size(sample) for contribution in contributions for sample in contribution.samples)


def _size(sample: bytes) -> int:
    return int.from_bytes(sample[1:3], "big")


def _flipped(sample: bytes) -> bytes:
    """The sample with the other label."""
    return bytes([1 - sample[0]]) + sample[1:]
