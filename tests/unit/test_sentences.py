"""The encoder `sentences`: a net in ONNX, made here, and what is said of folders that hold none."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.encoders import load_encoder
from dcai_cli.features.sentences import BATCH_TEXTS, MAX_TOKENS, VARIABLE, SentenceEncoder, make_encoder
from dcai_cli.features.vectors import quantize
from tests.golden.sentence_model import CONTEXT, make_model

WORDS = (
    "the", "a", "film", "story", "plot", "was", "is", "great", "dull", "warm", "cold", "mess", "heart",
    "wonderful", "boring", "point",
)  # fmt: skip
DIMENSION = 8


def sentences(count: int) -> list[str]:
    """Texts of one to sixty words."""
    rng = random.Random(2026)  # noqa: S311 (no secret)
    return [" ".join(rng.choices(WORDS, k=rng.choice([1, 2, 5, 12, 60]))) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model."""
    return make_model(tmp_path_factory.mktemp("model"), sentences(200), dimension=DIMENSION)


def test_vectors_do_not_depend_on_their_neighbours(folder: Path) -> None:
    """One text alone, in a batch of a hundred, and in another order: the same whole numbers are sent."""
    encoder, texts = SentenceEncoder(folder), sentences(100)
    together = encoder.encode(texts).astype(np.float64)
    alone = np.concatenate([encoder.encode([text]) for text in texts]).astype(np.float64)
    backwards = encoder.encode(texts[::-1])[::-1].astype(np.float64)
    assert len(texts) > 3 * BATCH_TEXTS
    assert np.abs(together - alone).max() < 1e-5
    for scale in (127.0, 300.0):
        expected = quantize(together, scale)
        assert np.abs(expected).max() > 100
        for other in (alone, backwards):
            # A float near a tie may fall on either side; none is off by more.
            difference = np.abs(quantize(other, scale).astype(int) - expected)
            assert (difference.max() <= 1, (difference > 0).mean() < 0.01) == (True, True)


def test_a_vector_is_the_mean_of_its_tokens(folder: Path) -> None:
    """What comes out is what the net says of each token, averaged, and of length 1."""
    encoder = SentenceEncoder(folder)
    great, dull, both = encoder.encode(["great", "dull", "great dull"]).astype(np.float64)
    assert (encoder.dimension, both.shape) == (DIMENSION, (DIMENSION,))
    assert np.linalg.norm(both) == pytest.approx(1, abs=1e-6)
    assert np.linalg.matrix_rank(np.stack([great, dull, both]), tol=1e-4) == 2
    assert CONTEXT > 0  # otherwise the net would not look at its mask


def test_a_text_is_read_up_to_its_last_token(folder: Path) -> None:
    """What stands behind the last token that is read makes no difference; what stands before it does."""
    encoder = SentenceEncoder(folder)
    start = "great " * MAX_TOKENS
    one, other, early = encoder.encode([start, start + "dull", "dull " + start])
    assert np.array_equal(one, other)
    assert not np.array_equal(one, early)


def test_what_a_tokenizer_fills_up_does_not_count(folder: Path, tmp_path: Path) -> None:
    """Published tokenizers often fill up texts to a fixed length and cut them: only the cut matters."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(40)
    tokenizer.save(str(copy / "tokenizer.json"))
    plain, own = SentenceEncoder(folder), SentenceEncoder(copy)
    assert np.abs(own.encode(["great film"]) - plain.encode(["great film"])).max() < 1e-6
    long = " ".join(["great"] * 40 + ["dull"] * 40)
    assert np.abs(own.encode([long]) - plain.encode(["great " * 40])).max() < 1e-6
    assert np.abs(own.encode([long]) - plain.encode([long])).max() > 1e-3


def test_the_version_says_what_the_files_are(folder: Path, tmp_path: Path) -> None:
    """The same files anywhere are the same version; another net or another tokenizer is another one."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert SentenceEncoder(copy).version == SentenceEncoder(folder).version
    make_model(tmp_path / "other", sentences(150), dimension=DIMENSION)
    shutil.copy(tmp_path / "other" / "model.onnx", copy / "model.onnx")
    assert SentenceEncoder(copy).version != SentenceEncoder(folder).version
    assert SentenceEncoder(copy).version.startswith("sha256:")


def test_it_is_found_as_a_plug_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package announces it under the name `sentences`; the environment names the folder."""
    monkeypatch.setenv(VARIABLE, str(folder))
    encoder = load_encoder("sentences")
    assert encoder.version == SentenceEncoder(folder).version
    assert encoder.encode(["great film"]).shape == (1, DIMENSION)


def test_without_a_model_it_says_how_to_name_one() -> None:
    """The environment may name no folder."""
    with pytest.raises(UsageError, match="needs a model") as caught:
        make_encoder({})
    assert VARIABLE in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("model.onnx", None, "model.onnx cannot be read: No such file"),
        ("tokenizer.json", None, "tokenizer.json cannot be read: No such file"),
        ("model.onnx", b"", "model.onnx cannot be used: "),
        ("model.onnx", b"<html>not found</html>", "model.onnx cannot be used: "),
        ("tokenizer.json", b"{}", "tokenizer.json cannot be used: "),
        ("tokenizer.json", b"\xff", "tokenizer.json cannot be used: "),
    ],
)
def test_a_folder_without_a_model_is_refused(
    folder: Path, tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    """A missing or damaged file is named, with what to do."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(BadInput, match=problem) as caught:
        SentenceEncoder(copy)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_net_that_reads_no_tokens_is_refused(folder: Path, tmp_path: Path) -> None:
    """A net of another kind is named with what it takes."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(content.replace(b"input_ids", b"pixel_ids"))
    with pytest.raises(BadInput, match=r"takes pixel_ids, attention_mask; sentence models take input_ids"):
        SentenceEncoder(copy)


def test_weights_in_other_files_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights beside the net, which its version would not tell, are not looked for anywhere."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    net = onnx.load(folder / "model.onnx")
    onnx.save_model(
        net, copy / "model.onnx", save_as_external_data=True, location="weights", size_threshold=99
    )
    assert (copy / "weights").stat().st_size > 99
    monkeypatch.chdir(copy)
    with pytest.raises(BadInput, match=r"model.onnx cannot be used: .*weights") as caught:
        SentenceEncoder(copy)
    assert "in one file" in caught.value.hint


def test_a_net_that_fails_is_one_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer with more words than the net has vectors for ends in one line, not a traceback."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    make_model(
        tmp_path / "larger", [*sentences(100), " ".join(f"w{n}" for n in range(99))], dimension=DIMENSION
    )
    shutil.copy(tmp_path / "larger" / "tokenizer.json", copy / "tokenizer.json")
    monkeypatch.setenv(VARIABLE, str(copy))
    with pytest.raises(
        DcaiError, match=r"^Encoder 'sentences' of the package dcai cannot be used: "
    ) as caught:
        load_encoder("sentences").encode(["w98 w97"])
    assert "\n" not in caught.value.message


def test_no_network_is_needed(folder: Path) -> None:
    """A process in which no socket can be made loads the model and encodes."""
    script = (
        "import socket, sys; from pathlib import Path\n"
        "def refuse(*_, **__): raise AssertionError('a socket')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from dcai_cli.features.sentences import SentenceEncoder\n"
        "print(SentenceEncoder(Path(sys.argv[1])).encode(['great film']).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"(1, {DIMENSION})\n", 0), done.stderr
