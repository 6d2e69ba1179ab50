"""The kernel's edges: bad input, damaged caches, and when it stays out of the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from dcai_cli.errors import BadInput
from dcai_cli.features import kernel
from dcai_cli.features.kernel import SparseRows, TextSettings, engine, hash_chunks, hash_texts

# Lone, overlong, surrogate, too large, cut off; and after a sound character of three bytes.
NOT_UTF8 = [
    bytes.fromhex(digits)
    for digits in (
        "80",
        "61c080",
        "c1bf",
        "e08080",
        "eda080",
        "f0808080",
        "f4908080",
        "f5808080",
        "ff",
        "616263c3",
        "e4b8",
        "f09f98",
        "c361",
        "e4b8adeda080",
        "e4b8ade4b8",
    )
]

MAKES_A_FOLDER = "cos\nmkdir\n(V{}\ntR."
"""A pickle that makes a folder when it is read."""

HASH_SOMETHING = """
import numpy as np
from dcai_cli.features.kernel import TextSettings, hash_texts
print(hash_texts(b"so so good", np.array([0, 10]), TextSettings(n_features=256)).counts.tolist())
"""


def test_the_known_answer_is_that_of_scikit_learn() -> None:
    """What the kernel must give before it is trusted is what HashingVectorizer gives."""

    def hash_with(settings: TextSettings) -> SparseRows:
        matrix = HashingVectorizer(**asdict(settings), norm=None).transform(engine.KNOWN_TEXTS)
        return SparseRows(matrix.indptr, matrix.indices, matrix.data)

    assert engine.known_answer(hash_with) == engine.KNOWN_ANSWER


@pytest.mark.parametrize(
    "document",
    NOT_UTF8,
)
@pytest.mark.parametrize("analyzer", engine.ANALYZERS)
def test_bytes_that_are_not_utf8_are_refused(document: bytes, analyzer: str) -> None:
    """What Python's decoder refuses is refused, and the message names the document; those before it count."""
    with pytest.raises(UnicodeDecodeError):
        document.decode()
    data = b"fine " + document + "\u4e2d\u00e9".encode()
    offsets = np.array([0, 5, 5 + len(document), len(data)])
    settings = TextSettings(analyzer)
    with pytest.raises(BadInput, match=r"Document 2 is not valid UTF-8\."):
        hash_texts(data, offsets, settings)
    with pytest.raises(BadInput, match=r"Document 2 "):
        hash_texts(data, offsets, settings, threads=2)
    chunks = hash_chunks(data, offsets, settings)
    assert len(next(chunks)) == 1


def test_a_document_after_a_bad_one_is_not_touched_by_it() -> None:
    """Nothing that a refused document left behind reaches the rows of the next call."""
    for data in (b"word \xff", b"word"):
        try:
            rows = hash_texts(data, np.array([0, len(data)]), TextSettings(n_features=256))
        except BadInput:
            continue
        assert rows.counts.tolist() == [1]


@pytest.mark.parametrize("offsets", [[], [0, 5], [-1, 2], [2, 1], [0, 2, 1, 3]])
def test_offsets_that_fall_or_leave_the_data_are_refused(offsets: list[int]) -> None:
    """Machine code checks no bounds, so its caller does."""
    with pytest.raises(ValueError, match="offsets must rise"):
        hash_texts(b"abc", np.array(offsets, dtype=np.int64), TextSettings())


def test_no_documents_give_no_rows() -> None:
    """One offset is no document."""
    rows = hash_texts(b"", np.array([0]), TextSettings())
    assert (len(rows), rows.indptr.tolist(), rows.indices.tolist()) == (0, [0], [])


@pytest.mark.parametrize(
    "settings",
    [
        {"analyzer": "words"},
        {"ngram_range": (2, 1)},
        {"ngram_range": (0, 1)},
        {"ngram_range": (1, 9)},
        {"n_features": 0},
        {"n_features": 2**24 + 1},
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, object]) -> None:
    """A setting that scikit-learn might read otherwise is not guessed."""
    with pytest.raises(ValueError, match=rf"{next(iter(settings))} is .*; it must"):
        TextSettings(**settings)  # type: ignore[arg-type]


def test_small_inputs_never_pay() -> None:
    """A small file is never the reason for a compilation, a large one always is."""
    assert not kernel.pays(0)
    assert not kernel.pays(engine.PAYS_COMPILED_BYTES - 1)
    assert kernel.pays(engine.PAYS_BYTES)


def test_importing_the_kernel_does_not_import_numba() -> None:
    """Whoever asks whether the kernel pays has not paid for it."""
    program = (
        "import sys\nfrom dcai_cli.features import kernel\nkernel.pays(10**7)\n"
        "sys.exit(bool({'numba', 'llvmlite'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that numba filled with the compiled kernel."""
    folder = tmp_path_factory.mktemp("numba")
    assert run_with_cache(folder) == "[1, 2]\n"
    return folder


def run_with_cache(folder: Path, **variables: str) -> str:
    """Hash something in a process of its own whose user has a folder of caches."""
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), **variables}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", HASH_SOMETHING],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stderr == ""
    return finished.stdout


def test_what_was_compiled_is_found_without_numba(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache that a process wrote is what `pays` looks for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    assert kernel.pays(engine.PAYS_COMPILED_BYTES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache / "empty"))
    assert not kernel.pays(engine.PAYS_COMPILED_BYTES)


def test_machine_code_that_others_could_have_written_is_not_read(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that others can enter nothing is read or written, and NUMBA_CACHE_DIR is no way around."""
    shutil.copytree(own_cache, tmp_path / "home")
    shared = tmp_path / "home" / "dcai" / "kernel"
    for file in shared.rglob("*.nb?"):
        file.write_bytes(MAKES_A_FOLDER.format(tmp_path / "read").encode())
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.nb?")}
    assert before
    shared.chmod(0o770)
    assert run_with_cache(tmp_path / "home", NUMBA_CACHE_DIR=str(shared)) == "[1, 2]\n"
    assert not (tmp_path / "read").exists()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.nb?")} == before
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert not kernel.pays(engine.PAYS_COMPILED_BYTES)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_compiled_afresh(own_cache: Path, tmp_path: Path, suffix: str) -> None:
    """A cache file that was cut off gives the right rows, without a word, and is written anew."""
    folder = tmp_path / "copy"
    shutil.copytree(own_cache, folder)
    for file in folder.rglob(f"*.{suffix}"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert run_with_cache(folder) == "[1, 2]\n"
    sizes = {file.name: file.stat().st_size for file in folder.rglob("*.nb?")}
    assert sizes == {file.name: file.stat().st_size for file in own_cache.rglob("*.nb?")}
