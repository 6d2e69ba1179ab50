"""Writes a sentence model of BERT's kind as the encoder `sentences` reads it.

Such models are published as a folder with config.json, model.safetensors and tokenizer.json. What comes
out has `model.onnx` and `tokenizer.json`:

    python -m tools.bert_onnx FOLDER OUTPUT
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 20
"""The first with Gelu."""

_KNOWN = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
_MEAN = "pooling_mode_mean_tokens"

_MASKED = -1e4
"""Added to the scores of tokens that were filled up: the exponential of it is 0."""


class BertGraph:
    """The graph of a BERT encoder, put together node by node.

    Args:
        config: what config.json says.
        weights: what model.safetensors holds, by name.
    """

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._config = config
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def build(self) -> onnx.ModelProto:
        """The whole net: token ids, mask and types in, a vector for each token out."""
        state = self._embed()
        scores = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        scores = self._op("Unsqueeze", scores, self._constant("heads_and_rows", np.array([1, 2])))
        one = self._constant("one", np.array(1, dtype=np.float32))
        masked = self._constant("masked", np.array(_MASKED, dtype=np.float32))
        scores = self._op("Mul", self._op("Sub", one, scores), masked)
        for layer in range(self._config["num_hidden_layers"]):
            state = self._layer(f"encoder.layer.{layer}", state, scores)
        self._nodes.append(helper.make_node("Identity", [state], ["last_hidden_state"]))
        shape = ["texts", "tokens"]
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, shape)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ],
            [
                helper.make_tensor_value_info(
                    "last_hidden_state", TensorProto.FLOAT, [*shape, self._config["hidden_size"]]
                )
            ],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model

    def _embed(self) -> str:
        words = self._op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        types = self._op("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = self._op("Squeeze", self._op("Shape", "input_ids", start=1, end=2))
        zero, one = (self._constant(f"integer_{n}", np.array(n, dtype=np.int64)) for n in (0, 1))
        positions = self._op(
            "Gather",
            self._weight("embeddings.position_embeddings.weight"),
            self._op("Range", zero, length, one),
        )
        return self._norm("embeddings", self._op("Add", self._op("Add", words, types), positions))

    def _layer(self, name: str, state: str, scores: str) -> str:
        attended = self._dense(
            f"{name}.attention.output", self._attend(f"{name}.attention.self", state, scores)
        )
        state = self._norm(f"{name}.attention.output", self._op("Add", attended, state))
        wide = self._op("Gelu", self._dense(f"{name}.intermediate", state))
        return self._norm(f"{name}.output", self._op("Add", self._dense(f"{name}.output", wide), state))

    def _attend(self, name: str, state: str, scores: str) -> str:
        heads, size = self._config["num_attention_heads"], self._config["hidden_size"]
        split = self._constant("split", np.array([0, 0, heads, size // heads]))
        query, key, value = (
            self._op("Reshape", self._dense(f"{name}.{part}", state, inner=""), split)
            for part in ("query", "key", "value")
        )
        query = self._op("Transpose", query, perm=[0, 2, 1, 3])
        key = self._op("Transpose", key, perm=[0, 2, 3, 1])
        value = self._op("Transpose", value, perm=[0, 2, 1, 3])
        root = self._constant("root", np.array(np.sqrt(size / heads), dtype=np.float32))
        match = self._op("Add", self._op("Div", self._op("MatMul", query, key), root), scores)
        mixed = self._op("MatMul", self._op("Softmax", match, axis=-1), value)
        joined = self._constant("joined", np.array([0, 0, size]))
        return self._op("Reshape", self._op("Transpose", mixed, perm=[0, 2, 1, 3]), joined)

    def _dense(self, name: str, state: str, inner: str = ".dense") -> str:
        weight = self._weight(f"{name}{inner}.weight", transposed=True)
        return self._op("Add", self._op("MatMul", state, weight), self._weight(f"{name}{inner}.bias"))

    def _norm(self, name: str, state: str) -> str:
        scale, shift = (self._weight(f"{name}.LayerNorm.{part}") for part in ("weight", "bias"))
        return self._op("LayerNormalization", state, scale, shift, epsilon=self._config["layer_norm_eps"])

    def _weight(self, name: str, *, transposed: bool = False) -> str:
        array = self._weights[name].astype(np.float32)
        return self._constant(name, np.ascontiguousarray(array.T) if transposed else array)

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - by operator
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def convert(folder: Path, output: Path) -> Path:
    """Write `model.onnx` and `tokenizer.json` of a published model.

    Args:
        folder: has config.json, model.safetensors and tokenizer.json.
        output: where to; it is made.

    Returns:
        The output.

    Raises:
        ValueError: the model is not of BERT's kind.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for field, known in _KNOWN.items():
        if config.get(field, known) != known:
            raise ValueError(f"{folder}: {field} is {config[field]!r}; this program knows {known!r}.")
    pooling = folder / "1_Pooling" / "config.json"
    if pooling.exists() and not json.loads(pooling.read_text(encoding="utf-8")).get(_MEAN):
        raise ValueError(f"{pooling} does not say {_MEAN}; the encoder takes the mean of all tokens.")
    model = BertGraph(config, load_file(folder / "model.safetensors")).build()
    output.mkdir(parents=True, exist_ok=True)
    (output / "model.onnx").write_bytes(model.SerializeToString())
    shutil.copyfile(folder / "tokenizer.json", output / "tokenizer.json")
    return output


def main() -> None:
    """Read the arguments and convert."""
    parser = argparse.ArgumentParser(description="Write a sentence model for the encoder `sentences`.")
    parser.add_argument("folder", type=Path, help="has config.json, model.safetensors, tokenizer.json")
    parser.add_argument("output", type=Path, help="gets model.onnx and tokenizer.json")
    arguments = parser.parse_args()
    print(convert(arguments.folder, arguments.output))


if __name__ == "__main__":
    main()
