"""Write data_fees.json: what the OP stack's own GasPriceOracle answers, run on anvil.

    npm pack @eth-optimism/contracts-bedrock@0.17.3 && tar xzf eth-optimism-contracts-bedrock-0.17.3.tgz
    python -m tests.golden.generate_data_fees package/forge-artifacts

Only the numbers are kept: tests hold our formula, and the contract that stands for the oracle, against them.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.conftest import start_anvil

GOLDEN = Path(__file__).parent / "data_fees.json"
ORACLE = "0x420000000000000000000000000000000000000F"
L1_BLOCK = "0x4200000000000000000000000000000000000015"
NAMES = ("base_fee_wei", "base_fee_scalar", "blob_base_fee_wei", "blob_base_fee_scalar")
PRICES = (
    # A quiet and a dear day of layer 1, with the scalars of two networks.
    dict(zip(NAMES, (90_000_000, 5227, 1, 1_014_213), strict=True)),
    dict(zip(NAMES, (61_234_567_891, 2269, 17_171_717_171, 1_055_762), strict=True)),
)
FORKS = {"bedrock": 0, "ecotone": 1, "fjord": 0x101}
OVERHEAD, SCALAR = 188, 684_000


def payloads() -> list[bytes]:
    """Bytes of many kinds: none, few, the same, random, repeated near and far, samples as we send them."""
    made_up = random.Random(5)  # noqa: S311 - not for secrets
    noise = made_up.randbytes(300)
    indices = sorted(made_up.sample(range(4096), 60))
    sample = b"".join(index.to_bytes(2) for index in indices)
    few = [made_up.randbytes(size) for size in (1, 2, 11, 12, 13, 14, 15, 33)]
    runs = [bytes(size) for size in (16, 40, 300, 700)] + [b"\xff" * 64]
    mixed = [
        noise,
        noise[:100] * 5,
        sample * 3,
        noise + bytes(200) + noise,
        made_up.randbytes(40) + b"ab" * 90,
    ]
    words = [b"".join(made_up.choice([b"the ", b"film ", b"was ", b"good "]) for _ in range(150))]
    return [b"", *few, *runs, *mixed, *words]


def main(artifacts: Path) -> None:
    """Run the oracle and write its answers."""
    node = start_anvil()
    for address, name in ((ORACLE, "GasPriceOracle"), (L1_BLOCK, "L1Block")):
        artifact = json.loads((artifacts / f"{name}.sol" / f"{name}.json").read_text())
        node.rpc("anvil_setCode", address, artifact["deployedBytecode"]["object"])

    def store(address: str, slot: int, value: int) -> None:
        node.rpc("anvil_setStorageAt", address, hex(slot), f"0x{value:064x}")

    def ask(function: str, *values: Any) -> str:
        types = function[function.index("(") + 1 : -1].split(",")
        data = keccak(text=function)[:4] + encode(types, values)
        return str(int(node.rpc("eth_call", {"to": ORACLE, "data": f"0x{data.hex()}"}, "latest"), 16))

    cases = []
    for prices in PRICES:
        store(L1_BLOCK, 1, prices["base_fee_wei"])
        store(L1_BLOCK, 3, prices["base_fee_scalar"] << 96 | prices["blob_base_fee_scalar"] << 64)
        store(L1_BLOCK, 5, OVERHEAD)
        store(L1_BLOCK, 6, SCALAR)
        store(L1_BLOCK, 7, prices["blob_base_fee_wei"])
        for fork, flags in FORKS.items():
            store(ORACLE, 0, flags)
            for data in payloads():
                case = {"fork": fork, **prices, "data": data.hex(), "fee_wei": ask("getL1Fee(bytes)", data)}
                if fork == "fjord":
                    case["bound_wei"] = ask("getL1FeeUpperBound(uint256)", len(data))
                cases.append(case)
    node.stop()
    head = {
        "source": "GasPriceOracle 1.3.0 of @eth-optimism/contracts-bedrock 0.17.3, run on anvil",
        "overhead": OVERHEAD,
        "scalar": SCALAR,
    }
    lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
    GOLDEN.write_text(f'{json.dumps(head)[:-1]}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
