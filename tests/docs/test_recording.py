"""The picture at the top of README.md: what dcai says in it is what dcai says."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tools.animation import Event, Piece, animation
from tools.recording import PICTURE, STORY, Paper, record
from tools.varying import same

LARGEST = 200_000
"""Bytes that a picture on a front page may have."""


def test_the_picture_shows_what_the_commands_print_now() -> None:
    """Recorded anew, it is the same but for addresses, times, gas and amounts; else: `make recording`."""
    assert same(PICTURE.read_text(encoding="utf-8")) == same(record())


def test_the_picture_is_small_loads_nothing_and_runs_no_script() -> None:
    """It is one well-formed file of at most 200 KB, and every command of the story stands in it."""
    text = PICTURE.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST
    assert not re.search(r"<script|href|url\(|@import|<image|<foreignObject", text)
    said = {node.text for node in ET.fromstring(text).iter() if node.tag.endswith("}text")}  # noqa: S314 - ours
    assert {step.command for step in STORY} <= said


def test_what_is_shown_for_a_moment_only_is_left_out() -> None:
    """A line that is taken back, as a progress bar's, is no event; one that is painted over is an error."""
    paper = Paper()
    paper.write("output", b"sending 1 of 2\r\x1b[2Ksending 2 of 2\r\x1b[2Kdone \x1b[31mnow\x1b[0m\r\n")
    assert paper.events == [Event("output", (Piece(0, 0, "done"), Piece(0, 5, "now", "red")), 2)]
    with pytest.raises(RuntimeError, match="painted over"):
        paper.write("output", b"\x1b[1A\x1b[2Kgone")


def test_the_last_screen_stands_still_where_nothing_may_move() -> None:
    """Without animations the paper is moved up until its last rows fill the window, all of it visible."""
    lines = tuple(Piece(row, 0, f"line {row} <&>") for row in range(30))
    drawn = animation([Event("output", lines, 30)], columns=20, rows=10, title="lines")
    still, _, moving = drawn.partition("@media (prefers-reduced-motion:no-preference)")
    assert "#paper{transform:translateY(-360px)}" in still
    assert "animation" not in still
    assert "line 29 &lt;&amp;&gt;" in moving
