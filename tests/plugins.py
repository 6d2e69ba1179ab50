"""Encoders as packages announce them, installed into a folder of the test for as long as it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LETTERS = '''
"""An encoder for tests: how often the letters a to d stand in a text."""
import numpy as np


class Letters:
    dimension = 4
    version = "1"

    def encode(self, texts):
        return np.array([[text.count(letter) for letter in "abcd"] for text in texts], dtype=np.float32)
'''


@contextmanager
def installed(folder: Path, package: str, encoders: dict[str, str], source: str) -> Iterator[None]:
    """A package with encoders, found as pip would have installed it.

    Args:
        folder: where it is written to.
        package: its name; its module is called the same.
        encoders: names of encoders, and what in the module each is.
        source: the module.
    """
    place = folder / package
    info = place / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {package}:{what}\n" for name, what in encoders.items()]
    (info / "entry_points.txt").write_text(f"[dcai.encoders]\n{''.join(lines)}")
    (place / f"{package}.py").write_text(source)
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))
        sys.modules.pop(package, None)
