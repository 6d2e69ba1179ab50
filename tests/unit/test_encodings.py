"""Encodings: found from all the bytes, however they are cut, told, and refused rather than guessed."""

from __future__ import annotations

import codecs
import io
import random
from pathlib import Path

import pytest

from dcai_cli.errors import BadInput, UsageError
from dcai_cli.features.readers import Source, read_rows
from dcai_cli.features.readers.encodings import find_encoding

TEXT = "text,label\ncafé naïve „quoted“ 5 €,ja\n"
CHINESE = "text,label\n距离川沙公路较近,好\n"


def rows_of(
    folder: Path, content: bytes, encoding: str | None = None
) -> tuple[list[dict[str, str]], list[str]]:
    """The cells of a csv file with these bytes, and what was said."""
    path = folder / "rows.csv"
    path.write_bytes(content)
    notes: list[str] = []
    rows = read_rows(Source(str(path), encoding=encoding), note=notes.append)
    return [row.cells for row in rows], notes


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", []), ("utf-8-sig", []), ("utf-16", ["utf-16"]), ("cp1252", ["cp1252"])],
)
def test_an_encoding_is_found_and_said(tmp_path: Path, encoding: str, said: list[str]) -> None:
    """The cells are the same, and whoever has not UTF-8 is told what it was taken for."""
    cells, notes = rows_of(tmp_path, TEXT.encode(encoding))
    assert cells == [{"text": "café naïve „quoted“ 5 €", "label": "ja"}]
    assert len(notes) == len(said)
    for note, word in zip(notes, said, strict=True):
        assert word in note
        assert "--encoding" in note


@pytest.mark.parametrize("order", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_both_byte_orders_of_utf_16_are_read(tmp_path: Path, order: bytes) -> None:
    """The byte order mark says which."""
    name = "utf-16-le" if order == codecs.BOM_UTF16_LE else "utf-16-be"
    cells, _ = rows_of(tmp_path, order + CHINESE.encode(name))
    assert cells == [{"text": "距离川沙公路较近", "label": "好"}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"text\ncaf\xe9 \x81\n", "line 2: byte 0xe9 at offset 8 is not UTF-8"),
        (b"text\ncaf\xe9\n\0\n", "line 2: byte 0xe9 at offset 8 is not UTF-8"),
        ("text\né".encode() + b"\n\xe9\n", "line 3: byte 0xe9 at offset 8 is not UTF-8"),
        (b"text\n\xe9\n" + "é\n".encode(), "line 2: byte 0xe9 at offset 5 is not UTF-8"),
        (CHINESE.encode()[:-3], "is not UTF-8"),
        (codecs.BOM_UTF8 + b"text\n\xe9\n", "line 2: byte 0xe9 at offset 8 is not UTF-8"),
        ("text\nab".encode("utf-16")[:-1], "line 2: byte 0x62 at offset 14 is not UTF-16"),
        (
            codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"\x00\xd8\x61\x00",
            "line 2: byte 0x00 at offset 8",
        ),
        ("text".encode("utf-32"), "is in UTF-32"),
    ],
)
def test_bytes_of_no_encoding_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """Bytes that Windows-1252 does not have, damaged UTF-8, and a character that is cut off."""
    with pytest.raises(BadInput) as caught:
        rows_of(tmp_path, content)
    assert problem in caught.value.message
    assert "--encoding" in caught.value.hint


def test_a_named_encoding_goes_over_what_is_found(tmp_path: Path) -> None:
    """--encoding reads any encoding of texts, strictly, and nothing is said."""
    assert rows_of(tmp_path, CHINESE.encode("gb18030"), "gb18030") == (
        [{"text": "距离川沙公路较近", "label": "好"}],
        [],
    )
    assert rows_of(tmp_path, "text\né".encode(), "cp1252")[0] == [{"text": "Ã©"}]
    with pytest.raises(BadInput, match="line 2: byte 0xff at offset 5 is not gb18030"):
        rows_of(tmp_path, b"text\n\xff\n", "gb18030")
    with pytest.raises(BadInput, match="is not UTF-16"):
        rows_of(tmp_path, "text\na".encode("utf-16-le"), "utf-16")


@pytest.mark.parametrize("name", ["klingon", "base64", "undefined", "", "a\0b", "\udc80"])
def test_an_encoding_that_python_does_not_know_is_refused(tmp_path: Path, name: str) -> None:
    """Also those of bytes and not of texts."""
    with pytest.raises(UsageError, match="There is no encoding"):
        rows_of(tmp_path, b"text\na\n", name)


def test_the_answer_does_not_depend_on_how_a_file_is_cut() -> None:
    """Read 1 to 9 bytes at once, 500 made-up texts give the same answer or message as in one piece."""
    rng = random.Random(41)  # noqa: S311
    parts = [
        b"a\n",
        "é".encode(),
        "距".encode(),
        "😀".encode(),
        b"\xe9",
        b"\x81",
        b"\xf0\x9f",
        b"\0",
        b"\xed\xa0\x80",
    ]
    marks = [b"", b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]
    answers = set()
    for _ in range(500):
        some = rng.sample(parts, rng.randint(1, 3))
        content = rng.choice(marks) + b"".join(rng.choices(some, k=rng.randint(0, 12)))
        found = {answer(content, size) for size in (*range(1, 10), 2**18)}
        assert len(found) == 1, (content, found)
        answers |= found
    assert {"utf-8", "utf-8-sig", "utf-16", "cp1252"} <= answers


def answer(content: bytes, chunk_bytes: int) -> str:
    """The encoding, or the message."""
    try:
        return find_encoding(lambda: io.BufferedReader(io.BytesIO(content)), "x", chunk_bytes=chunk_bytes)
    except BadInput as error:
        return error.message


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_is_no_text_even_if_the_encoding_was_named(
    tmp_path: Path, encoding: str, mark: str
) -> None:
    """Whoever names the encoding gets the rows of whoever does not: a row is known by its cells."""
    cells, _ = rows_of(tmp_path, (mark + TEXT).encode(encoding), encoding)
    assert cells == [{"text": "café naïve „quoted“ 5 €", "label": "ja"}]
