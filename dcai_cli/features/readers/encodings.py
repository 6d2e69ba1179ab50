"""Which encoding a text is in: decided from all of its bytes, and never by guessing a language.

A byte order mark says UTF-8 or UTF-16. Without one it is UTF-8, if every byte fits. Bytes that do not fit
mean Windows-1252, the encoding of old spreadsheets, but only where nothing else in the file looks like UTF-8:
a UTF-8 file with a damaged byte is refused, since every accent in it would turn into two other characters.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from contextlib import suppress

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers.compression import CHUNK_BYTES

Opener = Callable[[], io.BufferedReader]
"""Opens the same bytes anew, from the start."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f\udc80-\udcff]")
_UNUSED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_LABELS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}


def check_encoding(name: str) -> str:
    """The name of an encoding that Python knows, as it was typed.

    Raises:
        UsageError: there is no such encoding of texts.
    """
    try:
        "a".encode(name)  # of an empty text Python does not look at the name
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"There is no encoding {name!r}.", hint="Such as utf-8, utf-16, cp1252, gb18030 or shift_jis."
        ) from error
    return name


def find_encoding(open_bytes: Opener, name: str, *, chunk_bytes: int = CHUNK_BYTES) -> str:
    """Find the encoding of a text; the answer depends on its bytes alone.

    Args:
        open_bytes: opens the text; it is read once, or twice if it is not UTF-8.
        name: what it is called in messages.
        chunk_bytes: how much is read at once.

    Returns:
        utf-8, utf-8-sig, utf-16 or cp1252.

    Raises:
        BadInput: it is in none of them; the message has line, byte and offset.
    """
    with open_bytes() as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise BadInput(f"{name} is in UTF-32.", hint="Save it as UTF-8, or add --encoding utf-32.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(open_bytes, name, "utf-16", chunk_bytes)
    if head.startswith(codecs.BOM_UTF8):
        return _checked(open_bytes, name, "utf-8-sig", chunk_bytes)
    try:
        return _checked(open_bytes, name, "utf-8", chunk_bytes)
    except BadInput:
        if not _can_be_cp1252(open_bytes, chunk_bytes):
            raise
    return "cp1252"


def verify_encoding(open_bytes: Opener, name: str, encoding: str) -> str:
    """Check that a text is in the encoding that the user named.

    Returns:
        The encoding, or one like it that drops a byte order mark, which is no part of the first cell.

    Raises:
        BadInput: it is not; the message has line, byte and offset.
    """
    codec = codecs.lookup(encoding).name
    if codec == "utf-8":
        encoding = "utf-8-sig"
    elif codec in {"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"}:
        with open_bytes() as file:
            if file.read(4).startswith("\ufeff".encode(codec)):
                encoding = codec[: len("utf-16")]
    return _checked(open_bytes, name, encoding, CHUNK_BYTES)


def _checked(open_bytes: Opener, name: str, encoding: str, chunk_bytes: int) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    with open_bytes() as file:
        while True:
            chunk = file.read(chunk_bytes)
            # A character may lie across two chunks: the decoder keeps its first bytes.
            kept = decoder.getstate()[0]
            offset += len(chunk)
            if encoding == "utf-8" and chunk and not kept and chunk.isascii():
                continue  # most are, and to see that takes a tenth of decoding
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = offset - len(chunk)
                line = _line_at(open_bytes, encoding, before)
                raise _not_in(name, encoding, error, before - len(kept), line) from error
            except UnicodeError as error:
                raise BadInput(f"{name} is not {_label(encoding)}: {error}.", hint=_hint(encoding)) from error
            if not chunk:
                return encoding


def _line_at(open_bytes: Opener, encoding: str, offset: int) -> int:
    """The line that so many bytes end in, all of which can be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with open_bytes() as file:
        while offset and (chunk := file.read(min(offset, CHUNK_BYTES))):
            line += decoder.decode(chunk).count("\n")
            offset -= len(chunk)
    return line


def _not_in(name: str, encoding: str, error: UnicodeDecodeError, offset: int, line: int) -> BadInput:
    data, start = error.object, error.start
    with suppress(UnicodeError):
        line += data[:start].decode(encoding).count("\n")
    if encoding == "utf-8-sig" and offset == 0 and not data.startswith(codecs.BOM_UTF8):
        offset += len(codecs.BOM_UTF8)  # the codec counts from behind the mark
    place = f"byte 0x{data[start]:02x} at offset {offset + start}"
    return BadInput(
        f"{name}, line {line}: {place} is not {_label(encoding)}.",
        hint=_hint(encoding),
    )


def _label(encoding: str) -> str:
    return _LABELS.get(encoding, encoding)


def _hint(encoding: str) -> str:
    if encoding not in _LABELS:
        return "Name another encoding with --encoding, or leave it out."
    return "The file may be damaged. If it is in another encoding, name it, as in: --encoding gb18030"


def _can_be_cp1252(open_bytes: Opener, chunk_bytes: int) -> bool:
    """Whether a text can be Windows-1252, which has all its bytes, and has no letter that would be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    with open_bytes() as file:
        while True:
            chunk = file.read(chunk_bytes)
            if _NOT_ASCII.search(decoder.decode(chunk, final=not chunk)):
                return False
            if not chunk:
                return True
            if b"\0" in chunk or _UNUSED_IN_CP1252.search(chunk):
                return False
