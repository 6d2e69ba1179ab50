"""py-evm's precompiled contracts of the curve BLS12-381, imported when a contract first calls one.

The tables of that curve take a third of what it costs to open the embedded chain, and hardly anybody calls
them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

_PACKAGE = "eth.precompiles.bls12_381"
_NAMES = (
    "bls12_g1_add",
    "bls12_g1_msm",
    "bls12_map_fp_to_g1",
    "bls12_g2_add",
    "bls12_g2_msm",
    "bls12_map_fp2_to_g2",
    "bls12_pairing_check",
)


def defer_curve() -> None:
    """Have py-evm take stand-ins, each of which calls the real one; to be called before it is imported."""
    if _PACKAGE in sys.modules:
        return
    late = ModuleType(_PACKAGE)
    for name in _NAMES:
        setattr(late, name, _late(name))
    sys.modules[_PACKAGE] = late


def _late(name: str) -> Callable[[Any], Any]:
    def run(computation: Any) -> Any:  # noqa: ANN401 - py-evm's own
        return getattr(_real(), name)(computation)

    return run


@cache
def _real() -> ModuleType:
    del sys.modules[_PACKAGE]
    return import_module(_PACKAGE)
