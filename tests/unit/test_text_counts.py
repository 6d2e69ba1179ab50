"""Counts of many texts in several sizes at once: those that hashing into each size gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcai_cli.features import kernel
from dcai_cli.features.hashing import count_features
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.text_counts import count_in_sizes

SIZES = (2**14, 256, 2**18)
TEXTS = [
    "So, so good!",
    "",
    " \n",
    "Ein Ärger, Σ ΟΣ",
    "中文 文中 \U0001f600",
    "x",
    " ".join(f"w{n}" for n in range(900)),
]


@pytest.mark.parametrize("use_kernel", [False, True])
@pytest.mark.parametrize(
    ("analyzer", "ngram_range"), [("word", (1, 2)), ("char", (1, 2)), ("char_wb", (3, 5))]
)
def test_every_size_has_the_counts_of_its_own(
    analyzer: str, ngram_range: tuple[int, int], use_kernel: bool
) -> None:
    """By machine code and by plain Python alike, collisions included; a blank text has none."""
    if use_kernel and not kernel.is_available():
        pytest.skip("there is no kernel on this machine")
    spec = FeatureSpec.text(labels=["a", "b"], n_features=512, analyzer=analyzer, ngram_range=ngram_range)
    found = list(count_in_sizes(spec, TEXTS, SIZES, use_kernel=use_kernel))
    assert len(found) == len(SIZES)
    for size, rows in zip(SIZES, found, strict=True):
        sized = replace(spec, n_features=size, max_features=256)
        assert len(rows) == len(TEXTS)
        for number, text in enumerate(TEXTS):
            part = slice(rows.indptr[number], rows.indptr[number + 1])
            expected = count_features(sized, {"text": text}) if text.strip() else {}
            assert rows.indices[part].tolist() == sorted(expected)
            assert dict(zip(rows.indices[part].tolist(), rows.counts[part].tolist(), strict=True)) == expected
