"""Between Python values and the bytes of contract calls, by the contracts' own ABIs.

Addresses come out with their EIP-55 checksum, structs as tuples, bytes as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from dcai_cli.chain import words
from dcai_cli.hashing import checksummed, keccak256

if TYPE_CHECKING:
    from eth_abi.codec import ABICodec

Entry: TypeAlias = Mapping[str, Any]
"""One function, event, error or constructor of an ABI, as solc writes it."""


@cache
def codec() -> ABICodec:
    """The codec, with checksummed addresses."""
    from eth_abi import decoding
    from eth_abi.codec import ABICodec
    from eth_abi.registry import BaseEquals, registry

    class ChecksumAddressDecoder(decoding.AddressDecoder):
        decoder_fn = staticmethod(_address)  # type: ignore[assignment]

    ours = registry.copy()  # type: ignore[no-untyped-call]
    ours.unregister_decoder("address")
    is_address = BaseEquals("address")  # type: ignore[no-untyped-call]
    ours.register_decoder(is_address, ChecksumAddressDecoder, label="address")
    return ABICodec(ours)


def _address(word: bytes) -> str:
    return checksummed(word.hex())


def type_of(parameter: Entry) -> str:
    """The canonical type of a parameter: structs are written out as tuples.

    >>> type_of({"type": "tuple[]", "components": [{"type": "uint256"}, {"type": "bytes"}]})
    '(uint256,bytes)[]'
    """
    name = str(parameter["type"])
    if not name.startswith("tuple"):
        return name
    return f"({','.join(map(type_of, parameter['components']))}){name.removeprefix('tuple')}"


def types_of(parameters: Sequence[Entry]) -> list[str]:
    """The canonical types of a list of parameters."""
    return [type_of(parameter) for parameter in parameters]


def signature(entry: Entry) -> str:
    """Name and types, as they are hashed.

    >>> signature({"name": "quote", "inputs": [{"type": "uint256"}]})
    'quote(uint256)'
    """
    return f"{entry['name']}({','.join(types_of(entry['inputs']))})"


def topic(entry: Entry) -> bytes:
    """The hash of the signature: an event's first topic; its first 4 bytes are a selector."""
    return _hashed(signature(entry))


@cache
def _hashed(text: str) -> bytes:
    return keccak256(text.encode())


def selector(entry: Entry) -> bytes:
    """The 4 bytes with which calls and errors begin."""
    return topic(entry)[:4]


def encode(parameters: Sequence[Entry], values: Sequence[object]) -> bytes:
    """Encode values for the parameters."""
    types = types_of(parameters)
    plain = words.encode(types, values)
    return codec().encode(types, list(values)) if plain is None else plain


def decode(parameters: Sequence[Entry], data: bytes) -> tuple[Any, ...]:
    """Decode the values of the parameters.

    Raises:
        ValueError: the bytes are not what the types say.
    """
    types = types_of(parameters)
    plain = words.decode(types, data)
    if plain is not None:
        return plain
    from eth_abi.exceptions import DecodingError

    try:
        return codec().decode(types, data)
    except (DecodingError, OverflowError) as error:
        raise ValueError(f"{len(data)} bytes do not decode as {types}: {error}") from None


def decode_event(entry: Entry, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
    """Decode the arguments of an event: indexed ones from the topics, the others from the data.

    Indexed arguments of dynamic types stay the hash that the log holds.

    Raises:
        ValueError: the log is not what the event says.
    """
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
    if len(topics) != len(indexed) + 1:
        raise ValueError(f"{signature(entry)} has {len(indexed)} indexed arguments, not {len(topics) - 1}.")
    values = dict(zip((parameter["name"] for parameter in plain), decode(plain, data), strict=True))
    for parameter, word in zip(indexed, topics[1:], strict=True):
        hashed = _is_dynamic(type_of(parameter))
        values[parameter["name"]] = word if hashed else decode([parameter], word)[0]
    return {parameter["name"]: values[parameter["name"]] for parameter in entry["inputs"]}


def _is_dynamic(name: str) -> bool:
    return name in {"bytes", "string"} or name.endswith("]") or name.startswith("(")
