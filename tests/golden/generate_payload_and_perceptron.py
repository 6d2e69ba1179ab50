"""Writes payload.json and perceptron.json: the vectors that Python and Solidity must both reproduce.

Nothing of the package is used: the files are a second opinion. Run it again only when the protocol changes:
``python tests/golden/generate_payload_and_perceptron.py``
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
LIMIT = 32_767
Sample = tuple[int, list[int], list[int]]


def encode(samples: list[Sample], n_features: int, valued: bool) -> bytes:
    """Write samples as the protocol has it, without a check."""
    width = 2 if n_features <= 65_536 else 3
    payload = b""
    for label, indices, values in samples:
        payload += bytes([label]) + len(indices).to_bytes(2, "big")
        for index, value in zip(indices, values, strict=True):
            payload += index.to_bytes(width, "big")
            if valued:
                payload += value.to_bytes(1, "big", signed=True)
    return payload


class PlainPerceptron:
    """The perceptron's rule, one integer at a time."""

    def __init__(self, n_features: int, margin: int) -> None:
        self.weights = [0] * n_features
        self.bias = 0
        self.margin = margin
        self.saturated: set[str] = set()

    def score(self, indices: list[int], values: list[int]) -> int:
        """The score of one vector."""
        return self.bias + sum(self.weights[i] * v for i, v in zip(indices, values, strict=True))

    def train(self, samples: list[Sample]) -> int:
        """Train sample by sample; returns the informative bitmap."""
        informative = 0
        for position, (label, indices, values) in enumerate(samples):
            sign = 1 if label == 1 else -1
            score = self.score(indices, values)
            if sign * score <= self.margin * len(indices):
                informative |= ((score > 0) != (label == 1)) << position
                for index, value in zip(indices, values, strict=True):
                    self.weights[index] = self.saturate("weight", self.weights[index] + sign * value)
                self.bias = self.saturate("bias", self.bias + sign)
        return informative

    def saturate(self, what: str, value: int) -> int:
        """Keep a value within the limits, and note where that made a difference."""
        if abs(value) <= LIMIT:
            return value
        limit = LIMIT if value > 0 else -LIMIT
        self.saturated.add(f"{what} at {limit}")
        return limit

    def words(self) -> list[int]:
        """Storage words: sixteen lanes each, lane 0 the most significant; the bias in a word of its own."""
        words = []
        for first in range(0, len(self.weights), 16):
            lanes = [*self.weights[first : first + 16], *[0] * 16][:16]
            words.append(sum((lane % 65_536) << (240 - 16 * at) for at, lane in enumerate(lanes)))
        return [*words, (self.bias % 65_536) << 240]


def hexadecimal(data: bytes) -> str:
    """Bytes as Solidity's JSON parser reads them."""
    return "0x" + data.hex()


def word_hex(word: int) -> str:
    """A word of 32 bytes."""
    return f"0x{word:064x}"


def draw_sample(rng: random.Random, pool: list[int], size: int, valued: bool) -> Sample:
    """A random sample over a pool of features."""
    indices = sorted(rng.sample(pool, size))
    values = [rng.randrange(1, 128) * rng.choice((1, 1, -1)) if valued else 1 for _ in indices]
    return rng.randrange(2), indices, values


def payload_case(
    name: str, n_features: int, max_features: int, samples: list[Sample], valued: bool
) -> dict[str, Any]:
    """A payload that must be accepted."""
    return {
        "name": name,
        "n_features": n_features,
        "max_features": max_features,
        "valued": valued,
        "payload": hexadecimal(encode(samples, n_features, valued)),
        "samples": [
            {"label": label, "indices": indices, "values": values, "units": -(-sum(map(abs, values)) // 64)}
            for label, indices, values in samples
        ],
    }


def valid_payloads() -> list[dict[str, Any]]:
    """Payloads of every width, with and without values, with every tail of a word."""
    rng = random.Random(1)  # noqa: S311 (no secret)
    cases = []
    for valued in (False, True):
        kind = "valued" if valued else "plain"
        for n_features in (256, 1000, 65_535, 65_536, 65_537, 2**24):
            pool = sorted({0, 1, n_features - 2, n_features - 1, *rng.sample(range(n_features), 200)})
            for size in (1, 15, 16, 17, 31, 32, 33, 140) if n_features in {1000, 2**24} else (1, 33):
                samples = [draw_sample(rng, pool, size, valued), draw_sample(rng, pool, 3, valued)]
                cases.append(payload_case(f"{kind} {n_features} n={size}", n_features, 140, samples, valued))
            ends: Sample = (1, [0, n_features - 1], [-127, 127] if valued else [1, 1])
            cases.append(payload_case(f"{kind} {n_features} both ends", n_features, 2, [ends], valued))
            whole = [draw_sample(rng, pool, rng.randrange(1, 4), valued) for _ in range(256)]
            if n_features in {256, 65_537}:
                cases.append(payload_case(f"{kind} {n_features} 256 samples", n_features, 3, whole, valued))
    every: Sample = (0, list(range(256)), [1] * 256)
    cases.append(payload_case("every feature, n at max_features", 256, 256, [every, every], valued=False))
    return cases


def invalid_payloads() -> list[dict[str, Any]]:
    """Payloads with one fault each, and the custom error that names it."""
    cases: list[dict[str, Any]] = []
    one: Sample = (1, [3, 7], [1, 1])

    def add(name: str, error: str, payload: bytes, n_features: int = 1000, valued: bool = False) -> None:
        cases.append(
            {
                "name": name,
                "n_features": n_features,
                "max_features": 40,
                "valued": valued,
                "payload": hexadecimal(payload),
                "error": error,
            }
        )

    def fault(name: str, error: str, sample: Sample, *, n_features: int = 1000, valued: bool = False) -> None:
        add(name, error, encode([sample], n_features, valued), n_features, valued)
        add(f"{name}, second sample", error, encode([one, sample], n_features, valued), n_features, valued)

    good = encode([one], 1000, valued=False)
    add("nothing", "EmptyPayload", b"")
    add("257 samples", "TooManySamples", good * 257)
    add("a label alone", "TruncatedSample", b"\x01")
    add("half of n", "TruncatedSample", b"\x01\x00")
    add("no indices", "TruncatedSample", b"\x01\x00\x02")
    add("half an index", "TruncatedSample", good[:-1])
    add("a trailing byte", "TruncatedSample", good + b"\x00")
    add("two trailing bytes", "TruncatedSample", good + b"\x00\x00")
    add("a missing value", "TruncatedSample", encode([one], 1000, valued=True)[:-1], valued=True)
    add("a missing byte of a wide index", "TruncatedSample", encode([one], 70_000, valued=False)[:-1], 70_000)
    for n_features in (1000, 65_536, 70_000):
        for valued in (False, True):
            kind = f"{'valued' if valued else 'plain'} {n_features}"
            rising = list(range(10, 50))

            def bad(
                name: str,
                error: str,
                indices: list[int],
                label: int = 0,
                kind: str = kind,
                *,
                n_features: int = n_features,
                valued: bool = valued,
            ) -> None:
                fault(
                    f"{kind}: {name}",
                    error,
                    (label, indices, [1] * len(indices)),
                    n_features=n_features,
                    valued=valued,
                )

            bad("label 2", "InvalidLabel", [1], label=2)
            bad("label 255", "InvalidLabel", [1], label=255)
            bad("n = 0", "InvalidFeatureCount", [])
            bad("n above max_features", "InvalidFeatureCount", [*rising, 60])
            for at in (1, 2, 15, 16, 17, 31, 32, 33, 39):
                repeated = [*rising[:at], rising[at - 1], *rising[at + 1 :]]
                bad(f"index {at} repeated", "FeaturesNotIncreasing", repeated)
            bad("two indices swapped", "FeaturesNotIncreasing", [5, 4, 6])
            bad("first above the rest", "FeaturesNotIncreasing", [999, *rising[:-1]])
            if n_features != 65_536:
                bad("index = n_features", "FeatureOutOfRange", [0, n_features])
                bad("n_features in a full word", "FeatureOutOfRange", [*rising[:15], n_features])
                bad(
                    "the greatest index there is",
                    "FeatureOutOfRange",
                    [65_535 if n_features == 1000 else 2**24 - 1],
                )
            if valued:
                fault(
                    f"{kind}: value 0",
                    "InvalidValue",
                    (0, [4, 9], [1, 0]),
                    n_features=n_features,
                    valued=True,
                )
                fault(
                    f"{kind}: value -128",
                    "InvalidValue",
                    (1, [4, 9], [-128, 1]),
                    n_features=n_features,
                    valued=True,
                )
    return cases


def nonzero(words: list[int]) -> dict[str, Any]:
    """Words that are not zero, as two lists that Solidity reads with ease."""
    numbers = [number for number, word in enumerate(words) if word]
    return {"numbers": numbers, "words": [word_hex(words[number]) for number in numbers]}


def history(
    name: str,
    n_features: int,
    margin: int,
    valued: bool,
    *,
    sizes: tuple[int, ...],
    start: str = "",
    spread: int = 50,
) -> dict[str, Any]:
    """A random history of one model: batches, what they changed, predictions in between, the last words."""
    rng = random.Random(name)  # noqa: S311 (no secret)
    model = PlainPerceptron(n_features, margin)
    pool = sorted({0, 15, 16, n_features - 1, n_features - 2, *rng.sample(range(n_features), spread)})
    if start:
        for index in pool:
            model.weights[index] = rng.choice((LIMIT, -LIMIT, LIMIT - 1, 1 - LIMIT, 0))
        model.bias = LIMIT if start == "high" else -LIMIT
    first = nonzero(model.words())
    batches = []
    for _ in range(4):
        samples = [draw_sample(rng, pool, rng.choice(sizes), valued) for _ in range(rng.choice((1, 7, 12)))]
        informative = model.train(samples)
        probe = [draw_sample(rng, pool, rng.choice(sizes), valued) for _ in range(4)]
        scores = [model.score(indices, values) for _, indices, values in probe]
        batches.append(
            {
                "payload": hexadecimal(encode(samples, n_features, valued)),
                "informative": word_hex(informative),
                "probe": hexadecimal(encode(probe, n_features, valued)),
                "probe_labels": hexadecimal(bytes(score > 0 for score in scores)),
                "probe_scores": scores,
            }
        )
    return {
        "name": name,
        "n_features": n_features,
        "max_features": min(n_features, 1024),
        "margin": margin,
        "valued": valued,
        "first": first,
        "batches": batches,
        "saturated": sorted(model.saturated),
        "last": nonzero(model.words()),
    }


def histories() -> list[dict[str, Any]]:
    """Histories over every width, margin and kind of value, and at saturation."""
    cases = []
    for n_features in (256, 1000, 65_536, 70_000):
        for valued in (False, True):
            for margin in (0, 2, 30) if n_features in {1000, 70_000} else (2,):
                name = f"{n_features} {'valued' if valued else 'plain'} margin {margin}"
                cases.append(history(name, n_features, margin, valued, sizes=(1, 5, 15, 16, 17, 33)))
    for n_features, valued in ((1000, False), (1000, True), (70_000, False), (70_000, True)):
        for start in ("high", "low"):
            name = f"{n_features} {'valued' if valued else 'plain'} saturated {start}"
            cases.append(history(name, n_features, 2, valued, sizes=(1, 2, 16, 33), start=start))
    cases.append(history("4096 plain long", 4096, 2, valued=False, sizes=(31, 32, 140), spread=200))
    return cases


def write(name: str, content: object) -> None:
    """Write one file, one line for each case."""
    (FOLDER / name).write_text(
        json.dumps(content, indent=None, separators=(",", ":")).replace('},{"name"', '},\n{"name"') + "\n"
    )


if __name__ == "__main__":
    write("payload.json", {"valid": valid_payloads(), "invalid": invalid_payloads()})
    write("perceptron.json", histories())
