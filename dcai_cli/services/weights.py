"""Weights as files: a model as it stands on the chain, for other programs; nothing is pickled.

An .npz (numpy.load with allow_pickle=False) with these arrays:

=============================== =========================================================================
`format`                        "dcai-weights-1"
`spec`                          the feature spec, canonical JSON
`params`                        type and shape of the model, JSON
`words`                         uint8 (words, 32): its storage words, big-endian, bit for bit
`chain_id`, `address`           where the model is
`block_number`, `block_hash`    after which block it was read
=============================== =========================================================================

An export has the numbers by name beside them, as `models/pretrain` lists them: another model can start with
it.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.domain import ModelParams
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.files import write_atomically
from dcai_cli.services.models import HostedModel, find_model, read_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcai_cli.chain import Block
    from dcai_cli.models.replica import Replica
    from dcai_cli.services.workspace import Workspace

FORMAT = "dcai-weights-1"


@dataclass(frozen=True, slots=True)
class SavedWeights:
    """A file of weights that was written.

    Args:
        model: the model.
        block: after which block they were read.
        output: the file.
        words: storage words in it.
    """

    model: HostedModel
    block: Block
    output: Path
    words: int


def save_weights(
    workspace: Workspace,
    output: Path,
    *,
    model: str | None = None,
    block: int | None = None,
    with_arrays: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> SavedWeights:
    """Write a model as it stands on the chain into an .npz.

    Args:
        workspace: the opened parts.
        output: the file; written whole or not at all.
        model: name or address, or None.
        block: as it was after this block; the newest if None.
        with_arrays: its numbers by name, too.
        progress: gets (words read, words in all).

    Raises:
        UsageError: the chain has no such block yet, or the model was not there.
        BadInput: the words are none that a model of its type can have.
        DcaiError: the file cannot be written, or the block was reorganised away.
    """
    import numpy as np

    from dcai_cli.models import make_replica

    chain, hosted = workspace.chain, find_model(workspace, model)
    at = block_of(workspace, hosted, block, option="--block")
    words = read_words(chain, hosted, block=at.number, progress=progress)
    check_still_there(workspace, at)
    arrays = {
        "format": np.array(FORMAT),
        "spec": np.array(hosted.spec.to_json()),
        "params": np.array(json.dumps(asdict(hosted.params), sort_keys=True)),
        "words": np.frombuffer(b"".join(word.to_bytes(32, "big") for word in words), np.uint8).reshape(
            -1, 32
        ),
        "chain_id": np.array(chain.chain_id),
        "address": np.array(hosted.address),
        "block_number": np.array(at.number),
        "block_hash": np.array(at.hash),
    }
    replica = make_replica(hosted.params, words)
    if with_arrays:
        arrays |= replica.arrays()
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(output, content.getvalue(), mode=0o644)
    return SavedWeights(hosted, at, output, len(words))


def block_of(workspace: Workspace, model: HostedModel, number: int | None, *, option: str) -> Block:
    """The block that is meant: the newest, or one by its number.

    Raises:
        UsageError: the chain has no such block yet, or the model was not there.
    """
    head = workspace.chain.block("latest")
    if number is None:
        return head
    if not model.from_block <= number <= head.number:
        raise UsageError(
            f"{option} {number}: the model {model.name} has blocks {model.from_block} to {head.number}.",
            hint="Name one of them, or leave it out for the newest.",
        )
    return workspace.chain.block(number)


def check_still_there(workspace: Workspace, block: Block) -> None:
    """Make sure that what was read after a block belongs together.

    Raises:
        DcaiError: the block is not in the chain any more.
    """
    if workspace.chain.block_hash(block.number) != block.hash:
        raise DcaiError(
            f"Block {block.number} was reorganised away while it was read.",
            hint="Type the same command again.",
        )


def load_weights(path: Path | str) -> tuple[FeatureSpec, Replica]:
    """Read a file that `save_weights` wrote; nothing in it is executed.

    Raises:
        BadInput: it is none, or its words are none that a model of its type can have.
    """
    import numpy as np

    from dcai_cli.models import make_replica

    hint = "Write one: dcai model export --output FILE.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            kind, spec, params = (str(file[name]) for name in ("format", "spec", "params"))
            words = np.asarray(file["words"])
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    except (
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise BadInput(f"{path} is no file of weights: {error}.", hint=hint) from error
    if kind != FORMAT:
        raise BadInput(f"{path} is of the form {kind!r}; this version reads {FORMAT!r}.", hint=hint)
    if words.dtype != np.uint8 or words.ndim != 2:
        raise BadInput(f"{path}: words are of type {words.dtype}; they must be bytes, 32 each.", hint=hint)
    try:
        read, shape = FeatureSpec.from_json(spec), ModelParams(**json.loads(params))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path} describes no model: {error}.", hint=hint) from error
    if read.wire != shape.wire:
        raise BadInput(
            f"{path}: its feature spec asks for {read.wire}, its model for {shape.wire}.", hint=hint
        )
    return read, make_replica(shape, words.tobytes())
