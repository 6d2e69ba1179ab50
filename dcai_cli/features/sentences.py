"""The encoder `sentences`: a sentence-embedding model in ONNX, from a folder on this machine.

It needs the extra `sentences` (onnxruntime and tokenizers), and a folder with the files `model.onnx` and
`tokenizer.json`, as most published models of this kind come with, named by the environment variable
`DCAI_SENTENCES_MODEL`. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from dcai_cli.errors import BadInput, UsageError

VARIABLE = "DCAI_SENTENCES_MODEL"

BATCH_TEXTS = 32
MAX_TOKENS = 256
"""Tokens of a text at most, where the tokenizer does not say it; what is behind them is not read."""

_RULE = b"mean-pooled, normalized, 1\n"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_POOLED = "sentence_embedding"


class SentenceEncoder:
    """Vectors of sentences by a neural net: tokens in, the mean of what the net makes of them out.

    Where the net has an output `sentence_embedding`, that is taken; else the mean of its first output over
    the tokens of a text. Either is divided by its length. Texts of about the same length go through the net
    together, filled up to the longest, and a mask leaves out what was filled.

    Args:
        folder: where `model.onnx` and `tokenizer.json` are.

    Raises:
        BadInput: a file is missing, or is not what its name says.
    """

    def __init__(self, folder: Path) -> None:
        model, tokenizer = _read(folder / "model.onnx"), _read(folder / "tokenizer.json")
        self.version = _version(model, tokenizer)
        """A hash of all that the vectors depend on: net, tokenizer, and what is done with their output."""
        self._tokenizer = _tokenizer(folder, tokenizer)
        self._session = _session(folder, model)
        self._inputs = [given.name for given in self._session.get_inputs()]
        outputs = [given.name for given in self._session.get_outputs()]
        self._output = _POOLED if _POOLED in outputs else outputs[0]
        unknown = sorted(set(self._inputs) - set(_INPUTS))
        if unknown or "input_ids" not in self._inputs:
            raise BadInput(
                f"{folder / 'model.onnx'} takes {', '.join(self._inputs)}; sentence models take "
                f"{', '.join(_INPUTS)}.",
                hint=f"Name a folder with a sentence-embedding model in {VARIABLE}.",
            )
        self.dimension = int(self.encode(["a"]).shape[1])
        """Numbers of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Make vectors of texts, shape (texts, dimension), each of length 1."""
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        rows: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(tokens)
        for first in range(0, len(order), BATCH_TEXTS):
            places = order[first : first + BATCH_TEXTS]
            for place, vector in zip(places, self._run([tokens[at] for at in places]), strict=True):
                rows[place] = vector
        return np.stack(rows)

    def _run(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        width = max(1, *map(len, tokens))
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, numbers in enumerate(tokens):
            ids[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        given: Mapping[str, NDArray[np.int64]] = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
        }
        (output,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        vectors = np.asarray(output, dtype=np.float64)
        if vectors.ndim == 3:
            counts = np.maximum(mask.sum(axis=1, keepdims=True), 1)
            vectors = (vectors * mask[:, :, None]).sum(axis=1) / counts
        lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
        return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def make_encoder(environ: Mapping[str, str] = os.environ) -> SentenceEncoder:
    """The encoder of the folder that the environment names.

    Raises:
        UsageError: it names none.
        BadInput: the folder does not hold a model.
    """
    folder = environ.get(VARIABLE)
    if not folder:
        raise UsageError(
            "The encoder 'sentences' needs a model.",
            hint=f"Set {VARIABLE} to a folder with model.onnx and tokenizer.json; see docs/encoders.md.",
        )
    return SentenceEncoder(Path(folder))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.",
            hint=f"{VARIABLE} names a folder with model.onnx and tokenizer.json.",
        ) from error


def _version(*parts: bytes) -> str:
    digest = hashlib.sha256(_RULE)
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return f"sha256:{digest.hexdigest()}"


def _tokenizer(folder: Path, content: bytes) -> Any:  # noqa: ANN401 - tokenizers has no types
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # what it raises has no class of its own
        raise _damaged(folder / "tokenizer.json", error) from error
    tokenizer.no_padding()
    if tokenizer.truncation is None:
        tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _session(folder: Path, content: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings of the net's making are not the user's
    try:
        # Weights in other files would not be in the version: none are found in an empty folder.
        with tempfile.TemporaryDirectory(prefix="dcai-") as empty:
            options.add_session_config_entry(_WEIGHTS_FOLDER, empty)
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a class for each kind of fault
        raise _damaged(folder / "model.onnx", error) from error


def _damaged(path: Path, error: Exception) -> BadInput:
    problem = " ".join(str(error).split()).rstrip(".")
    return BadInput(f"{path} cannot be used: {problem}.", hint="Make or download it again, in one file.")
