"""A small sentence-embedding model, made of texts here and now: what published ones are, but for their size.

Its tokenizer knows the words of the texts. Its net has a vector for each, found by latent semantic analysis,
and adds to each token a part of the mean of all: what is filled up would be noticed were it not masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SEED = 2026
CONTEXT = 0.25
"""How much of the mean of all tokens each of them gets."""


def make_model(folder: Path, texts: Sequence[str], *, dimension: int, words: int = 4000) -> Path:
    """Write `model.onnx` and `tokenizer.json`.

    Args:
        folder: where to; it is made.
        texts: what the vectors of words are learned from.
        dimension: numbers of a vector.
        words: words that the tokenizer knows at most.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=words, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = _word_vectors(tokenizer, texts, dimension)
    (folder / "model.onnx").write_bytes(_net(vectors).SerializeToString())
    return folder


def _word_vectors(tokenizer: Tokenizer, texts: Sequence[str], dimension: int) -> NDArray[np.float32]:
    weigher = TfidfVectorizer(
        analyzer=lambda text: tokenizer.encode(text).tokens,
        vocabulary=tokenizer.get_vocab(),
        lowercase=False,
    )
    matrix = weigher.fit_transform(texts)
    svd = TruncatedSVD(dimension, random_state=SEED).fit(matrix)
    vectors = svd.components_.T * weigher.idf_[:, None]
    vectors[0] = np.random.default_rng(SEED).normal(size=dimension)  # what is filled up must not count
    return np.asarray(vectors, dtype=np.float32)


def _net(vectors: NDArray[np.float32]) -> onnx.ModelProto:
    numbers = {
        "vectors": vectors,
        "context": np.array(CONTEXT, dtype=np.float32),
        "last": np.array([2], dtype=np.int64),
        "tokens": np.array([1], dtype=np.int64),
    }
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Gather", ["vectors", "input_ids"], ["words"]),
            node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["mask", "last"], ["weights"]),
            node("Mul", ["words", "weights"], ["counted"]),
            node("ReduceSum", ["counted", "tokens"], ["sum"]),
            node("ReduceSum", ["weights", "tokens"], ["size"]),
            node("Div", ["sum", "size"], ["mean"]),
            node("Mul", ["mean", "context"], ["part"]),
            node("Add", ["words", "part"], ["last_hidden_state"]),
        ],
        "sentences",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(
                "last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", vectors.shape[1]]
            )
        ],
        [numpy_helper.from_array(array, name) for name, array in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model
