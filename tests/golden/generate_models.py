"""Writes histories of every model but the int16 perceptron, values of the logarithm, and words to be refused.

They come from plain_models.py, which uses nothing of the package. A case has a model's parameters, its
`first` words, batches and its `last` words; words that are not listed are 0. A batch has its informative
bitmap, the words it `changed`, and what the model then says to a `probe`: predictions, and the bitmap of
labels that it agrees with. Run it again only when the protocol changes: ``python -m
tests.golden.generate_models``
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.golden.generate_payload_and_perceptron import encode, hexadecimal, word_hex
from tests.golden.plain_models import FULL_CLASS, PLAIN, NaiveBayes, Sample, Shape, log2

FOLDER = Path(__file__).resolve().parent
BATCH_SIZES = (1, 7, 12)
SHORT = (1, 2, 5, 15, 16, 17, 33)
LONG = (31, 32, 140)
Start = Callable[[Any, list[int], random.Random], None]


# --- histories -------------------------------------------------------------------------------------------


def draw_sample(
    rng: random.Random, pool: list[int], shape: Shape, *, signed: bool, sizes: tuple[int, ...] = SHORT
) -> Sample:
    """A random sample; two thirds of its features, where there are enough, are those of its class."""
    label = rng.randrange(shape.classes)
    own = [index for index in pool if index % shape.classes == label]
    size = min(rng.choice(sizes), len(pool))
    chosen = set(rng.sample(own, min(len(own), 2 * size // 3)))
    rest = [index for index in pool if index not in chosen]
    indices = sorted(chosen | set(rng.sample(rest, size - len(chosen))))
    signs = (1, 1, -1) if signed else (1,)
    values = [rng.randrange(1, 128) * rng.choice(signs) if shape.valued else 1 for _ in indices]
    return label, indices, values


def sparse(words: dict[int, int]) -> dict[str, Any]:
    """Words by their numbers, as two lists that Solidity reads with ease."""
    numbers = sorted(words)
    return {"numbers": numbers, "words": [word_hex(words[number]) for number in numbers]}


def bitmap(flags: list[bool]) -> str:
    """A bitmap, the first flag its lowest bit."""
    return word_hex(sum(flag << at for at, flag in enumerate(flags)))


def history(
    kind: str,
    title: str,
    shape: Shape,
    start: Start | None = None,
    *,
    batches: int = 4,
    sizes: tuple[int, ...] = SHORT,
) -> dict[str, Any]:
    """A random history of one model."""
    shape = replace(shape, max_features=min(shape.n_features, 1024))
    name = f"{kind} {title}"
    rng = random.Random(name)  # noqa: S311 (no secret)
    n = shape.n_features
    edges = {i for i in (0, 7, 8, 15, 16, 31, n - 2, n - 1) if 0 <= i < n}
    spread = 200 if sizes == LONG else 40 if shape.classes < 8 else 16
    pool = sorted(edges | set(rng.sample(range(n), min(n, spread))))
    draw = partial(draw_sample, rng, shape=shape, signed=kind != "naive-bayes", sizes=sizes)
    model = PLAIN[kind](shape)
    if start:
        start(model, pool, rng)
    words = first = model.words()
    steps = []
    for _ in range(batches):
        # Every other feature of the probes' pool may be one that the batches never bring.
        strangers = sorted({*pool[::2], *rng.sample(range(n), min(n, 10))})
        samples = [draw(pool) for _ in range(rng.choice(BATCH_SIZES))]
        probe = [draw(strangers) for _ in range(6)]
        informative = model.train(samples)
        before, words = words, model.words()
        changed = {at: words.get(at, 0) for at in {*before, *words} if before.get(at) != words.get(at)}
        predicted = [model.predict(*sample[1:]) for sample in probe]
        steps.append(
            {
                "payload": hexadecimal(encode(samples, n, shape.valued)),
                "informative": word_hex(informative),
                "changed": sparse(changed),
                "probe": hexadecimal(encode(probe, n, shape.valued)),
                "probe_labels": hexadecimal(bytes(predicted)),
                "probe_agreed": bitmap(
                    [sample[0] == it for sample, it in zip(probe, predicted, strict=True)]
                ),
            }
        )
    return {
        "name": name,
        "model_type": kind,
        **asdict(shape),
        "total_words": model.total_words(),
        "first": sparse(first),
        "batches": steps,
        "saturated": model.saturated,
        "last": sparse(words),
    }


def near_limit(model: Any, pool: list[int], rng: random.Random) -> None:
    """Weights of the two-class perceptron at its limit, or one step from it."""
    for index in pool:
        model.weights[index] = rng.choice((1, -1)) * (model.limit - rng.randrange(2))
    model.bias = rng.choice((1, -1)) * 32_767


def near_limits(model: Any, pool: list[int], rng: random.Random) -> None:
    """Weights and biases of all classes at the limit, or one step from it."""
    for index in pool:
        for c in range(model.shape.classes):
            model.weights[index, c] = rng.choice((1, -1)) * (32_767 - rng.randrange(2))
    model.bias = [rng.choice((32_767, -32_767, 0)) for _ in model.bias]


def written(model: Any, pool: list[int], rng: random.Random) -> None:
    """Numbers that an owner may write, consistent: as if some samples had been trained."""
    model.train(
        [draw_sample(rng, pool, model.shape, signed=not isinstance(model, NaiveBayes)) for _ in range(60)]
    )


def huge(model: Any, pool: list[int], rng: random.Random) -> None:
    """Numbers at the very limits of what can be written; they need not fit each other."""
    signs = (1,) if isinstance(model, NaiveBayes) else (1, -1)
    for index in pool[::3]:
        model.lanes[index] = {
            c: rng.choice(signs) * rng.choice((2**30, 2**30 - 1, 1, rng.randrange(2**30)))
            for c in range(model.shape.classes)
            if rng.random() < 0.8
        }
    model.samples = [rng.choice((FULL_CLASS - 2, 1, rng.randrange(1, 2**23 - 99))) for _ in model.samples]
    model.totals = [
        rng.choice(signs) * rng.choice((2**90, 2**90 - 1, 0, rng.randrange(2**90))) for _ in model.totals
    ]
    if isinstance(model, NaiveBayes):
        model.seen = rng.choice((model.shape.n_features // 2, 0))


def full(model: Any, pool: list[int], rng: random.Random) -> None:
    """One class full, one that fills up in the first batches, the others small."""
    written(model, pool, rng)
    model.samples[0] = FULL_CLASS
    model.samples[1] = FULL_CLASS - 1


def one_class(model: Any, pool: list[int], rng: random.Random) -> None:
    """Only the last class has samples."""
    last = model.shape.classes - 1
    samples = [
        draw_sample(rng, pool, model.shape, signed=not isinstance(model, NaiveBayes)) for _ in range(9)
    ]
    model.train([(last, *sample[1:]) for sample in samples])


def uncounted(model: Any, pool: list[int], rng: random.Random) -> None:  # noqa: ARG001
    """Counts without totals and features seen, as only an owner can write them: the logarithm of 0 is 0."""
    for index in pool[1::2]:
        model.lanes[index] = {c: c + 1 for c in range(model.shape.classes)}
    model.samples = [c + 1 for c in range(model.shape.classes)]


def perceptron_histories() -> list[dict[str, Any]]:
    """The int8 perceptron: every width and margin, with values and without, also at its limits."""
    cases = []
    for n in (2, 16, 17, 33, 300, 1000, 65_536, 70_000):
        for valued in (False, True):
            for margin in (0, 2) if n == 1000 else (2,):
                shape = Shape(n, valued=valued, weight_bits=8, margin=margin)
                title = f"int8 {n} {'valued' if valued else 'plain'} margin {margin}"
                cases.append(history("perceptron", title, shape))
                if n in {33, 1000, 70_000}:
                    cases.append(history("perceptron", f"{title} near the limits", shape, near_limit))
    shape = Shape(4096, weight_bits=8, margin=2)
    return [*cases, history("perceptron", "int8 4096 long", shape, batches=2, sizes=LONG)]


def multiclass_histories() -> list[dict[str, Any]]:
    """Every number of lanes in a row, every width and margin, in the middle and at the limits."""
    cases = []
    shapes = {3: 37, 5: 300, 8: 1000, 9: 70_000, 16: 33}
    for at, (classes, n) in enumerate(shapes.items()):
        for valued in (False, True):
            for margin in (0, 2):
                # Each width meets each number of classes in one of the two.
                shape = Shape((n, 65_536 + at)[margin // 2], valued=valued, classes=classes, margin=margin)
                title = f"{shape.n_features} x {classes} {'valued' if valued else 'plain'} margin {margin}"
                cases.append(history("multiclass-perceptron", title, shape))
        shape = Shape(n, valued=True, classes=classes, margin=2)
        cases.append(history("multiclass-perceptron", f"{n} x {classes} near the limits", shape, near_limits))
    shape = Shape(4096, classes=4, margin=2)
    return [*cases, history("multiclass-perceptron", "4096 x 4 long", shape, batches=2, sizes=LONG)]


def tally_histories(kind: str, shapes: list[Shape], starts: dict[str, Start]) -> list[dict[str, Any]]:
    """Each shape from nothing, and from each of the starts in turn."""
    cases = []
    for at, shape in enumerate(shapes):
        flags = [word for word, on in (("valued", shape.valued), ("bernoulli", shape.bernoulli)) if on]
        smoothing = f"smoothing {shape.smoothing}" if shape.smoothing else ""
        title = " ".join([f"{shape.n_features} x {shape.classes}", *flags, smoothing]).strip()
        cases.append(history(kind, title, shape, batches=3))
        names = list(starts)
        chosen = (names[at % len(names)], names[(at + 2) % len(names)])
        cases += [history(kind, f"{title}, {start}", shape, starts[start], batches=3) for start in chosen]
    shape = replace(shapes[0], n_features=4096)
    return [*cases, history(kind, "4096 x 2 long", shape, batches=2, sizes=LONG)]


STARTS: dict[str, Start] = {
    "written": written,
    "huge": huge,
    "a full class": full,
    "one class": one_class,
}


def bayes_histories() -> list[dict[str, Any]]:
    """Multinomial and Bernoulli, every number of lanes in a row, smoothing from 1/256 to 255."""
    multinomial = [
        (2, 1000, 256),
        (3, 37, 1),
        (5, 70_000, 256),
        (8, 65_536, 65_535),
        (9, 33, 128),
        (16, 70_001, 26),
    ]
    bernoulli = [
        (2, 37, 256),
        (3, 256, 1),
        (5, 100, 65_535),
        (8, 41, 128),
        (9, 64, 256),
        (16, 33, 26),
        (2, 4096, 256),
    ]
    shapes = [
        Shape(n, valued=valued, classes=c, weight_bits=32, smoothing=a)
        for c, n, a in multinomial
        for valued in (False, True)
    ]
    shapes += [Shape(n, classes=c, weight_bits=32, smoothing=a, bernoulli=True) for c, n, a in bernoulli]
    return tally_histories("naive-bayes", shapes, {**STARTS, "counts without totals": uncounted})


def centroid_histories() -> list[dict[str, Any]]:
    """Every number of lanes in a row, plain and signed values."""
    widths = {2: 1000, 3: 37, 5: 70_000, 8: 65_536, 9: 33, 16: 70_001}
    shapes = [
        Shape(n, valued=valued, classes=c, weight_bits=32)
        for c, n in widths.items()
        for valued in (False, True)
    ]
    return tally_histories("nearest-centroid", shapes, STARTS)


# --- the logarithm, and words that are refused -----------------------------------------------------------


def logarithms() -> dict[str, Any]:
    """The logarithm around powers of two, around the steps of its table, and anywhere up to 2^110."""
    rng = random.Random(110)  # noqa: S311 (no secret)
    numbers = {0, *range(1, 70)}
    numbers |= {2**k + d for k in range(2, 111) for d in (-1, 0, 1)}
    numbers |= {(256 + k << shift) + d for k in range(0, 256, 5) for shift in (0, 8, 40) for d in (-1, 0, 1)}
    numbers |= {rng.randrange(1, 2 ** rng.randrange(1, 111)) for _ in range(300)}
    ordered = sorted(numbers)
    return {"x": [word_hex(x) for x in ordered], "log2": [log2(x) for x in ordered]}


def lane_word(bits: int, lane: int, value: int) -> int:
    """A word with one lane that is not 0."""
    return (value % int(2**bits)) << (256 - bits * (lane + 1))


def class_half(half: int, samples: int, total: int) -> int:
    """A class word whose one half is not 0."""
    return lane_word(128, half, samples << 96 | total % 2**96)


def written_words() -> list[dict[str, Any]]:
    """Single words to write into a fresh model, and whether they are taken."""
    cases: list[dict[str, Any]] = []

    def add(kind: str, shape: Shape, name: str, number: int, word: int, *, valid: bool) -> None:
        total = PLAIN[kind](shape).total_words()
        cases.append(
            {
                "name": f"{kind} {shape.n_features} x {shape.classes}: {name}",
                "model_type": kind,
                **asdict(replace(shape, max_features=min(shape.n_features, 1024))),
                "number": number % total,
                "word": word_hex(word),
                "valid": valid,
            }
        )

    for bits, least in ((16, -32_768), (8, -128)):
        shape = Shape(37, weight_bits=bits)
        for lane in (0, 3):
            add("perceptron", shape, f"int{bits} limit", 0, lane_word(bits, lane, least + 1), valid=True)
            add(
                "perceptron",
                shape,
                f"int{bits} below the limit",
                0,
                lane_word(bits, lane, least),
                valid=False,
            )
        add("perceptron", shape, "bias at its limit", -1, lane_word(16, 0, -32_767), valid=True)
        add("perceptron", shape, "bias below its limit", -1, lane_word(16, 0, -32_768), valid=False)
        add("perceptron", shape, "behind the bias", -1, lane_word(16, 1, 1), valid=False)
        add("perceptron", shape, "last byte of the bias word", -1, 1, valid=False)
    eight = Shape(37, weight_bits=8)
    for lane, valid in ((0, True), (8, True), (1, False), (9, False), (10, False), (31, False)):
        # Weights 32 to 36 stand in the high bytes of the first five lanes.
        add("perceptron", eight, f"byte {lane} of the last weights", 1, lane_word(8, lane, 5), valid=valid)
    add("perceptron", Shape(37), "lane of the last weight", 2, lane_word(16, 4, 5), valid=True)
    add("perceptron", Shape(37), "behind the last weight", 2, lane_word(16, 5, 5), valid=False)

    kind, shape = "multiclass-perceptron", Shape(7, classes=5)
    add(kind, shape, "limit", 0, lane_word(16, 12, -32_767), valid=True)
    add(kind, shape, "below the limit", 0, lane_word(16, 12, -32_768), valid=False)
    add(kind, shape, "a class that is not there", 0, lane_word(16, 5, 1), valid=False)
    add(kind, shape, "the same in the second row", 0, lane_word(16, 13, 1), valid=False)
    add(kind, shape, "the last feature", 3, lane_word(16, 4, 1), valid=True)
    add(kind, shape, "behind the last feature", 3, lane_word(16, 8, 1), valid=False)
    add(kind, shape, "the last bias", -1, lane_word(16, 4, 32_767), valid=True)
    add(kind, shape, "a bias below the limit", -1, lane_word(16, 4, -32_768), valid=False)
    add(kind, shape, "a bias of no class", -1, lane_word(16, 5, 1), valid=False)

    for classes, n in ((3, 5), (9, 3)):
        row = 4 if classes == 3 else 16
        shape = Shape(n, classes=classes, weight_bits=32, smoothing=256)
        count_words = -(-n * row // 8)
        for kind, signed in (("naive-bayes", False), ("nearest-centroid", True)):
            shape = replace(shape, smoothing=0 if signed else 256)
            last = count_words + (classes - 1) // 2  # class words: an even last class has a half of its own
            add(kind, shape, "the greatest number", 0, lane_word(32, 0, 2**30), valid=True)
            add(kind, shape, "above it", 0, lane_word(32, 0, 2**30 + 1), valid=False)
            add(kind, shape, "the least number", 0, lane_word(32, 2, -(2**30)), valid=signed)
            add(kind, shape, "below it", 0, lane_word(32, 2, -(2**30) - 1), valid=False)
            add(kind, shape, "-1", 0, lane_word(32, 1, -1), valid=signed)
            add(kind, shape, "-2^31", 0, lane_word(32, 1, -(2**31)), valid=False)
            unused = (0, 3) if classes == 3 else (1, 1)
            add(kind, shape, "a class that is not there", unused[0], lane_word(32, unused[1], 1), valid=False)
            if classes == 3:
                add(kind, shape, "the last feature", count_words - 1, lane_word(32, 0, 1), valid=True)
                add(kind, shape, "behind the last feature", count_words - 1, lane_word(32, 4, 1), valid=False)
            for lane in (0, 1):
                half = partial(class_half, lane)
                add(kind, shape, f"class {lane} full", count_words, half(2**23 - 1, 0), valid=True)
                add(kind, shape, f"class {lane} overfull", count_words, half(2**23, 0), valid=False)
                add(kind, shape, f"total {lane} at its limit", count_words, half(3, 2**90), valid=True)
                add(kind, shape, f"total {lane} above", count_words, half(3, 2**90 + 1), valid=False)
                add(
                    kind,
                    shape,
                    f"total {lane} at minus its limit",
                    count_words,
                    half(3, -(2**90)),
                    valid=signed,
                )
                add(kind, shape, f"total {lane} below", count_words, half(3, -(2**90) - 1), valid=False)
            add(kind, shape, "half of the last class", last, 5 << 224, valid=True)
            add(kind, shape, "half behind the last class", last, 1, valid=False)
            add(kind, shape, "samples behind the last class", last, 1 << 96, valid=False)
        shape = replace(shape, smoothing=256)
        add("naive-bayes", shape, "all features seen", -1, n, valid=True)
        add("naive-bayes", shape, "more than all features seen", -1, n + 1, valid=False)
        add("naive-bayes", shape, "far more than all features seen", -1, 1 << 255, valid=False)
    return cases


def write(name: str, content: object) -> None:
    """Write one file, one line for each case."""
    text = json.dumps(content, separators=(",", ":")).replace('},{"name"', '},\n{"name"')
    (FOLDER / name).write_text(text + "\n")


if __name__ == "__main__":
    write("perceptron8.json", perceptron_histories())
    write("multiclass-perceptron.json", multiclass_histories())
    write("naive-bayes.json", bayes_histories())
    write("nearest-centroid.json", centroid_histories())
    write("log2.json", logarithms())
    write("written-words.json", written_words())
