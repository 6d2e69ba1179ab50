"""Unicode 14 on every Python: all code points, alone and where a final sigma sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from dcai_cli.features import unicode14
from tests.golden import unicode_digest

PROJECT = Path(__file__).parent.parent.parent
DIGEST = "28503881cd37120312f52871ddcefcd2a5a420eced2468cb078702ac45db4026"
SPACE_DIGEST = "b7d1cb733bae5064192100f40e9f1c13635c3ee8254ed5391c79c76f01f06f2f"
"""What Python 3.11's own str and re give; `tests/golden/unicode_digest.py` says of what."""

ON_UNICODE_14 = pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="compares with the Unicode 14 of Python 3.11"
)
NASTY = [
    "",
    "\u03a3",
    "\u039f\u0394\u039f\u03a3 \u03a3\u03a3 A\u03a3.B A.\u03a3 \u03a3' a\u0301\u03a3\u0301 \u02b0\u03a3\u02b0",
    "\u0130STANBUL I\u0307 \u01c5 \u1e9e \ufb01",
    "\u8ddd\u79bb\u5ddd\u6c99 \U00020000\U00020001",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d\u0924\u0947",
    "\U0001f469\u200d\U0001f4bb ok\ufe0f \U0001f1e9\U0001f1ea",
    "\ud800a\udfff bc",
    # Newer than Unicode 14: a letter and a mark of 15.0, a letter of 15.1, cased letters of 16.0.
    "A\U00011f02B A\u0ece\u03a3 \U0002ebf0\U0002ebf1 A\u1c89\u03a3 \ua7cb\ua7dc \U00010d50\U00010d51",
]


@ON_UNICODE_14
def test_python_3_11_is_taken_at_its_word() -> None:
    """On Unicode 14 the built-ins themselves serve, and white space is what they say it is."""
    assert unicode14._functions() == unicode14._Functions(str.lower, unicode14._WORD.findall)
    assert re.compile(r"(?u)\b\w\w+\b") == unicode14._WORD
    spaces = re.compile(r"\s\s+")
    assert unicode_digest.space_digest(lambda text: spaces.sub(" ", text), str.split) == SPACE_DIGEST


def test_every_code_point_is_read_as_python_3_11_does() -> None:
    """Whatever the interpreter's Unicode is, the golden digests come out."""
    assert unicode_digest.digest(unicode14.lower, unicode14.find_words) == DIGEST
    digest = unicode_digest.space_digest(unicode14.collapse_spaces, unicode14.split_at_spaces)
    assert digest == SPACE_DIGEST


def test_an_unknown_version_of_unicode_is_not_asked() -> None:
    """Tables alone, for versions that nobody has looked at, give the same for every code point."""
    by_tables = unicode14._functions_for("99.0.0")
    assert by_tables != unicode14._functions()
    assert unicode_digest.digest(by_tables.lower, by_tables.find_words) == DIGEST


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("version", ["15.1.0", "99.0.0"])
def test_all_ways_to_read_a_text_agree(text: str, version: str) -> None:
    """Nasty texts are read the same by each way that can run on this interpreter."""
    if version == "15.1.0" and unicodedata.unidata_version > version:
        pytest.skip("this interpreter knows characters that are newer")
    functions = unicode14._functions_for(version)
    assert functions.lower(text) == unicode14.lower(text)
    assert functions.find_words(text) == unicode14.find_words(text)


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_other_pythons_give_the_same_digests(name: str) -> None:
    """Every other Python on the PATH prints the golden digests."""
    program = shutil.which(name)
    if program is None or name == f"python3.{sys.version_info.minor}":
        pytest.skip(f"{name} is not there, or is the one that runs")
    if subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip(f"{name} is on the PATH and cannot run")
    script = PROJECT / "tests" / "golden" / "unicode_digest.py"
    done = subprocess.run([program, "-I", str(script)], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [DIGEST, SPACE_DIGEST]


@ON_UNICODE_14
def test_the_committed_tables_are_those_of_python_3_11(tmp_path: Path) -> None:
    """The generator writes the file that is committed, byte for byte."""
    tools = tmp_path / "tools"
    (tmp_path / "dcai_cli" / "features").mkdir(parents=True)
    tools.mkdir()
    script = shutil.copy(PROJECT / "tools" / "unicode_tables.py", tools)
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True)
    name = Path("dcai_cli", "features", "unicode14_data.py")
    assert (tmp_path / name).read_bytes() == (PROJECT / name).read_bytes()


@ON_UNICODE_14
def test_kernel_tables_say_what_str_says() -> None:
    """Each array has the answer of Python 3.11 for every code point."""
    tables = unicode14.kernel_tables()
    word, space = re.compile(r"\w"), re.compile(r"\s")
    for point in range(0x110000):
        one = chr(point)
        assert tables.word[point] == bool(word.match(one))
        assert tables.space[point] == bool(space.match(one))
        if point != 0x130:
            assert tables.lower[point] == ord(one.lower())
        seen_through = ("A" + one + "\u03a3").lower()[-1] == "\u03c2"
        assert (tables.cased[point] or tables.case_ignorable[point]) == seen_through
        assert tables.cased[point] == ((one + "\u03a3").lower()[-1] == "\u03c2")
    assert tables.lower[0x130] == 0x130
    assert not (tables.cased & tables.case_ignorable).any()


def test_the_module_loads_neither_numpy_nor_tables_for_english() -> None:
    """A text in ASCII costs no import."""
    code = (
        "import sys; from dcai_cli.features import unicode14 as u; u.lower('AB c'); u.find_words('ab c'); "
        "print({'numpy', 'unicodedata', 'dcai_cli.features.unicode14_data'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert done.stdout == "set()\n"
