"""Hostile key files: each opens to its own key, or is refused by one error of ours, in good time and memory.

`python -m tests.fuzz.keyfiles --count 20000` adds so many random changes to the systematic ones. The files
follow from the seed alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_keyfile.keyfile import create_keyfile_json

from dcai_cli.errors import BadInput, WrongPassword
from dcai_cli.keystore import Keystore, StoredAccount

SEED = 2026
KEY = "0x" + "11" * 32
PASSWORD = "pässwörd"
MOST_CPU_S = 2.0
SLOW_S = 0.2
MOST_BYTES = 700 * 2**20
"""Of a process in which all of it ran; 256 MiB is what a standard file takes by its design."""

Document = dict[str, Any]

_DEEP: Any = []
for _ in range(500):
    _DEEP = [_DEEP]

VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 3, -1, 16, 33, 2**31, 2**63, 2**64, 10**400, 1.5, 3.0, 32.0, -0.0, math.nan,
    math.inf, "", "0", "0x", "0x1", "zz", "3", "é", "\ud800", "\u202e", "\x00", "a" * 5000, "00", "00" * 15,
    "00" * 16, "00" * 17, "00" * 31, "00" * 32, "00" * 33, "0X" + "00" * 32, "-" + "0" * 31, "١٢", "scrypt",
    "pbkdf2", "aes-128-ctr", [], ["00"], {}, {"n": 2}, {"": ""}, [[]], [{}] * 100, _DEEP,
    {str(number): number for number in range(500)},
]  # fmt: skip
"""What stands in the place of each value in turn."""

COSTS: list[Document] = [
    *({"n": 2**bits} for bits in (0, 19, 20, 24, 30, 31, 32, 63, 64, 1000)),
    *({"n": 2**30, "r": 1}, {"n": 2**21, "r": 1}, {"n": 2**22, "r": 1}, {"n": 2**18, "r": 8}),
    *({"p": 2**bits} for bits in (3, 4, 10, 15, 20, 30, 64)),
    *({"r": 2**bits} for bits in (6, 7, 10, 20, 30, 64)),
    *({"n": 2**18, "r": 1, "p": 8}, {"n": 2**18, "r": 8, "p": 2}, {"n": 2**12, "r": 8, "p": 6}),
    *({"n": 3}, {"n": 2**18 - 1}, {"n": 2**18 + 1}, {"n": 2**18 * 3}, {"n": -(2**18)}),
    *({"dklen": length} for length in (0, 1, 16, 31, 33, 64, 2**20, 2**32, 2**40)),
    *({"kdf": "pbkdf2", "prf": "hmac-sha256", "c": 10**digits} for digits in (1, 6, 7, 9, 12, 100)),
    *({"kdf": "pbkdf2", "prf": prf, "c": 10} for prf in ("hmac-md5", "hmac-sha512", "sha256", "", "hmac-")),
    {"kdf": "pbkdf2", "prf": "hmac-sha256", "c": 2_000_000},
    {"kdf": "pbkdf2", "prf": "hmac-sha256", "c": 10, "dklen": 2**40},
]  # fmt: skip
"""Costs that files ask for; the password fits none of them."""


@dataclass
class Outcome:
    """How a run ended.

    Args:
        opened: files that opened to the key that was put in.
        refused: files that were refused, by class of error.
        slowest_s: CPU time of the file that took longest.
        faults: other keys, tracebacks, and files that took too long; there must be none.
    """

    opened: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """All of them."""
        return self.opened + sum(self.refused.values())


def base_files() -> list[Document]:
    """A whole file for each key derivation."""
    key, secret = bytes.fromhex(KEY[2:]), PASSWORD.encode()
    return [
        dict(create_keyfile_json(key, secret, kdf="scrypt", iterations=2)),
        dict(create_keyfile_json(key, secret, kdf="pbkdf2", iterations=10)),
    ]


def places(content: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value, of objects too."""
    for name, value in content.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from places(value, (*above, name))


def changed(content: Document, place: tuple[str, ...], value: Any) -> Document:
    """A copy with another value at a place."""
    copy = deepcopy(content)
    parent: Any = copy
    for name in place[:-1]:
        parent = parent.get(name)
        if not isinstance(parent, dict):
            return copy  # an earlier change took the place away
    parent[place[-1]] = value
    return copy


def systematic() -> Iterator[tuple[str, bytes]]:
    """Every place with every value and without any, twice, cut at every byte; and every cost."""
    for content in base_files():
        kdf, whole = content["crypto"]["kdf"], json.dumps(content).encode()
        for place in places(content):
            name = f"{kdf} {'.'.join(place)}"
            for value in VALUES:
                yield f"{name} = {value!r:.30}", json.dumps(changed(content, place, value)).encode()
            yield f"{name} is gone", without(content, place)
            yield from twice(content, place, name)
        yield from ((f"{kdf} cut at {end}", whole[:end]) for end in range(len(whole)))
    for costs in COSTS:
        content = base_files()[0]
        content["crypto"]["kdf"] = costs.get("kdf", "scrypt")
        content["crypto"]["kdfparams"] |= {"n": 2, "r": 8, "p": 1} | costs
        yield f"costs {costs}"[:80], json.dumps(content).encode()
    yield "64 KiB of brackets", b"[" * 65_536
    yield "64 KiB of objects", b'{"a":' * 13_000
    yield "64 KiB of digits", b'{"version": ' + b"3" * 65_000 + b"}"
    yield "too long by a byte", b" " * 65_537
    yield "white space", b" " * 65_536
    yield "UTF-16", json.dumps(base_files()[0]).encode("utf-16")
    yield "UTF-32 of nothing", "".encode("utf-32")


def without(content: Document, place: tuple[str, ...]) -> bytes:
    """A file that lacks a value."""
    copy = deepcopy(content)
    parent = copy
    for name in place[:-1]:
        parent = parent[name]
    del parent[place[-1]]
    return json.dumps(copy).encode()


def twice(content: Document, place: tuple[str, ...], what: str) -> Iterator[tuple[str, bytes]]:
    """Files in which a member stands twice, in the same and in another case, first and last."""
    marked = json.dumps(changed(content, place, "MARK"))
    parent = content
    for name in place[:-1]:
        parent = parent[name]
    value = json.dumps(parent[place[-1]])
    huge = {"n": 2**40, "p": 2**20, "c": 10**12}.get(place[-1], 5)
    for other in (place[-1], place[-1].upper(), place[-1].title()):
        for first, second in ((value, f'"{other}": {huge}'), (str(huge), f'"{other}": {value}')):
            text = marked.replace('"MARK"', f"{first}, {second}")
            yield f"{what} and {other}", text.encode()


def random_file(rng: random.Random) -> bytes:
    """A file with a few changes of all kinds."""
    content = rng.choice(base_files())
    every = list(places(content))
    for _ in range(rng.randint(0, 3)):
        content = changed(content, rng.choice(every), rng.choice(VALUES))
    if rng.random() < 0.2:
        content["crypto"] = content.get("crypto") if rng.random() < 0.5 else {"kdfparams": rng.choice(COSTS)}
    data = json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice([0, 0, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        other = rng.choice([b"", bytes([rng.randrange(256)]), b"9" * 30, b'"', b"{", rng.randbytes(4)])
        data = data[:at] + other + data[at + rng.randint(0, 2) :]
    return data


def _hides_its_address(content: bytes) -> bool:
    """Whether a file does not say whose key it is: then nothing tells that its initial vector was changed.

    What the format authenticates is the ciphertext alone.
    """
    with suppress(ValueError):
        return not json.loads(content).get("address")
    return False


def try_one(folder: Path, what: str, content: bytes, outcome: Outcome) -> None:
    """List, find, open and import one file, as the program does, and count how it ends."""
    path = folder / "keystore" / "hostile"
    path.write_bytes(content)
    keystore = Keystore(folder / "keystore")
    ends: list[str] = []
    ways: tuple[Callable[[], str], ...] = (
        lambda: keystore.export(keystore.find("hostile"), PASSWORD),
        lambda: imported(folder, path),
    )
    try:
        for way in ways:
            began_s = time.process_time()
            try:
                ends.append(way())
            except (BadInput, WrongPassword) as error:
                ends.append(type(error).__name__)
                if not error.hint or KEY[2:] in error.message or len(error.message) > 400:
                    outcome.faults.append(f"{what}: {error.message}")
            took_s = time.process_time() - began_s
            outcome.slowest_s = max(outcome.slowest_s, took_s)
            if took_s > MOST_CPU_S:
                outcome.faults.append(f"{what}: took {took_s:.1f} s of CPU time")
            if took_s > SLOW_S:
                ends *= 2  # the other way would take as long
                break
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        outcome.faults.append(f"{what}: {traceback.format_exc()}")
        return
    if ends == [KEY, KEY] or (
        ends[0] == ends[1] and ends[0].startswith("0x") and _hides_its_address(content)
    ):
        outcome.opened += 1
    elif ends[0] == ends[1] != KEY and not ends[0].startswith("0x"):
        outcome.refused[ends[0]] += 1
    else:
        outcome.faults.append(f"{what}: ends in {ends}")


def imported(folder: Path, path: Path) -> str:
    """The key of a file after it was imported; what was written must be a plain, whole file."""
    copies = Keystore(folder / "copies")
    account = copies.import_file(path, "copy", PASSWORD)
    try:
        written = json.loads(account.path.read_bytes(), parse_constant=lambda _: 1 / 0)
        assert sorted(written) == ["address", "crypto", "id", "version"]
        return copies.export(StoredAccount("copy", None, account.path), PASSWORD)
    finally:
        account.path.unlink()


def fuzz(count: int, folder: Path, seed: int = SEED) -> Outcome:
    """Try all systematic files, and so many random ones."""
    outcome = Outcome()
    (folder / "keystore").mkdir(mode=0o700)
    for what, content in systematic():
        try_one(folder, what, content, outcome)
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 (no secret)
        try_one(folder, f"random file {number}", random_file(rng), outcome)
    return outcome


def _peak_bytes() -> int:
    """The most memory that this process had: `ru_maxrss` begins with what its parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def problems(outcome: Outcome) -> list[str]:
    """What is wrong with a run: faults, or files that do not try enough."""
    found = outcome.faults[:5]
    if min(outcome.opened, outcome.refused["BadInput"], outcome.refused["WrongPassword"]) < 50:
        found.append(f"only {outcome.opened} files opened, and {dict(outcome.refused)} were refused")
    taken = _peak_bytes()
    if taken > MOST_BYTES:
        found.append(f"{taken / 2**20:.0f} MiB of memory were taken")
    return found


def main() -> int:
    """Try so many files; the exit status is 1 if one of them does harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(arguments.count, Path(folder), arguments.seed)
    taken = _peak_bytes() / 2**20
    figures = f"the slowest took {outcome.slowest_s:.2f} s of CPU time, the process {taken:.0f} MiB"
    lines = [
        f"{outcome.files} files: {outcome.opened} opened, {dict(outcome.refused)} were refused; {figures}"
    ]
    sys.stdout.write("\n".join([*lines, *problems(outcome), ""]))
    return bool(problems(outcome))


if __name__ == "__main__":
    sys.exit(main())
