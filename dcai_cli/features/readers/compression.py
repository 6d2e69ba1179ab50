"""Packed files as streams of bytes: gz, bz2, xz and zst, whole or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from dcai_cli.errors import BadInput

CHUNK_BYTES = 2**18
"""Bytes that are read at once."""

_XZ_MEMORY_BYTES = 2**29
"""What unpacking xz may take; `xz -9` needs an eighth of it."""


class _Unpacker(Protocol):
    """What bz2 and lzma call a decompressor."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Streams:
    """Streams of one compressor, one behind the other.

    The readers of the standard library ignore what follows the first stream if it is no other stream: a file
    that was damaged in the middle would look like a shorter one.

    Args:
        file: the packed bytes.
        make: makes an unpacker for one stream.
    """

    def __init__(self, file: BinaryIO, make: Callable[[], _Unpacker]) -> None:
        self._file = file
        self._make = make
        self._unpacker = make()

    def read(self, size: int) -> bytes:
        """Some bytes, at most `size`; none at the end."""
        while True:
            packed = b""
            if self._unpacker.eof:
                packed = self._next_stream()
                if not packed:
                    return b""
                self._unpacker = self._make()
            elif self._unpacker.needs_input:
                packed = self._file.read(CHUNK_BYTES)
                if not packed:
                    raise EOFError("it ends too early")
            data = self._unpacker.decompress(packed, size)
            if data:
                return data

    def _next_stream(self) -> bytes:
        """The first bytes behind a stream; zeros between streams are padding."""
        packed = self._unpacker.unused_data.lstrip(b"\0")
        while not packed:
            block = self._file.read(CHUNK_BYTES)
            if not block:
                return b""
            packed = block.lstrip(b"\0")
        return packed


def _open_bz2(file: BinaryIO) -> Any:  # noqa: ANN401 - whatever has read()
    return _Streams(file, bz2.BZ2Decompressor)


def _open_xz(file: BinaryIO) -> Any:  # noqa: ANN401
    return _Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES))


def _open_gzip(file: BinaryIO) -> Any:  # noqa: ANN401
    return gzip.GzipFile(fileobj=file)


def _open_zstd(file: BinaryIO) -> Any:  # noqa: ANN401
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")


_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": _open_gzip,
    ".bz2": _open_bz2,
    ".xz": _open_xz,
    ".zst": _open_zstd,
}

SUFFIXES = tuple(_OPENERS)
"""Endings of names of packed files."""


class _Unpacked(io.RawIOBase):
    """The bytes of a packed file; what its library says of a broken one becomes BadInput.

    Args:
        path: the file.
        suffix: which compression.
        name: what it is called in messages.
    """

    def __init__(self, path: Path, suffix: str, name: str) -> None:
        self._name = name
        self._kind = {".gz": "gzip"}.get(suffix, suffix[1:])
        self._file = path.open("rb")
        self._inner: Any = None
        self._suffix = suffix

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a writable buffer
        """Fill a part of the buffer; 0 at the end."""
        try:
            if self._inner is None:
                self._inner = self._open()
            data = self._inner.read(len(buffer))
        except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, MemoryError) as error:
            raise BadInput(
                f"{self._name} is not a whole {self._kind} file: {error}.", hint="Make or download it again."
            ) from error
        buffer[: len(data)] = data
        return len(data)

    def _open(self) -> Any:  # noqa: ANN401
        if not self._file.peek(1):
            raise EOFError("it is empty")
        return _OPENERS[self._suffix](self._file)

    def close(self) -> None:
        """Close the packed file, too."""
        if not self.closed:
            self._file.close()
        super().close()


def open_unpacked(path: Path, suffix: str, name: str) -> io.BufferedReader:
    """Open a file for its bytes as they were before it was packed.

    Args:
        path: the file.
        suffix: one of SUFFIXES, or "" for a file that is not packed.
        name: what it is called in messages.

    Raises:
        OSError: it cannot be opened.
        BadInput: while reading: it is not what the suffix says, or is cut off or damaged.
    """
    if not suffix:
        return path.open("rb")
    return io.BufferedReader(_Unpacked(path, suffix, name), CHUNK_BYTES)
