"""py-evm's precompiled contracts of pairing-friendly curves, imported when a contract first calls one.

The tables of these curves take a third of what it costs to open the embedded chain, and hardly anybody calls
them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import Any

_CONTRACTS = {
    "eth.precompiles.bls12_381": (
        "bls12_g1_add",
        "bls12_g1_msm",
        "bls12_map_fp_to_g1",
        "bls12_g2_add",
        "bls12_g2_msm",
        "bls12_map_fp2_to_g2",
        "bls12_pairing_check",
    ),
    "eth.precompiles.ecadd": ("ecadd",),
    "eth.precompiles.ecmul": ("ecmul",),
    "eth.precompiles.ecpairing": ("ecpairing",),
}


def defer_curves() -> None:
    """Have py-evm take stand-ins, each of which calls the real one; to be called before it is imported."""
    if "eth.precompiles" in sys.modules:
        return
    for module, names in _CONTRACTS.items():
        late = ModuleType(module)
        for name in names:
            setattr(late, name, _late(module, name))
        sys.modules[module] = late


def _late(module: str, name: str) -> Callable[..., Any]:
    def run(computation: Any = None, **costs: Any) -> Any:  # noqa: ANN401 - py-evm's own
        if computation is None:
            return partial(run, **costs)  # a later fork, at another price
        return getattr(_real(module), name)(computation, **costs)

    return run


@cache
def _real(module: str) -> ModuleType:
    del sys.modules[module]
    return import_module(module)
