"""The first five minutes in a real terminal: from the installed package to a claimed refund.

Somebody who knows nothing types what the screen tells her to, and makes the mistakes that newcomers make.
What she saw stands beside this file; `DCAI_WRITE_SCREENS=1` writes it anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screens.terminal import COLUMNS, Terminal, normalised, suggestions

PROJECT = Path(__file__).resolve().parents[2]
SCREENS = Path(__file__).parent
WRITE = "DCAI_WRITE_SCREENS"
ROWS = "examples/reviews.csv"
"""All that she has."""

PASSWORD = "a long password"
YES = ("[y/N]", "y")
UNLOCK = ("Password of me:", PASSWORD)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `dcai` in a new environment: built from this checkout as a wheel, and installed."""
    folder = tmp_path_factory.mktemp("installed")
    python = [sys.executable, "-m"]
    run([*python, "build", "--wheel", "--no-isolation", "--outdir", folder, PROJECT])
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    inside = environment / "bin" / "python"
    run([*python, "pip", "--python", inside, "install", "--no-deps", "--no-index", wheel])
    # What it depends on is that of the tests; the checkout, which is there by a .pth file of its own, is not.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    found = run([inside, "-c", "import dcai_cli; print(dcai_cli.__file__)"]).strip()
    assert Path(found) == site / "dcai_cli" / "__init__.py"
    return environment / "bin"


def run(command: list[str | Path]) -> str:
    """Run a program away from the checkout; what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def terminal(installed: Path) -> Iterator[Terminal]:
    """A shell in a folder with the rows, with the installed dcai on its path and nothing else set."""
    if shutil.which("tmux") is None:
        if os.environ.get("CI"):
            pytest.fail("tmux is not installed: tools/install_packages")
        pytest.skip("tmux is not installed: tools/install_packages")
    # pytest's own folders have names too long for a socket.
    with tempfile.TemporaryDirectory(prefix="dcai-") as name:
        folder = Path(name)
        work = folder / "work"
        (work / ROWS).parent.mkdir(parents=True)
        shutil.copy(PROJECT / ROWS, work / ROWS)
        environment = {
            "PATH": f"{installed}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }
        screen = Terminal(folder / "tmux", work, environment)
        try:
            yield screen
        finally:
            screen.close()


class Newcomer:
    """Somebody who types what she is told to.

    Args:
        terminal: what she sits at.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.seen: dict[str, str] = {}

    def types(self, command: str, *answers: tuple[str, str]) -> None:
        """Type what nobody suggested, and answer questions: how each ends, and what she types."""
        self._terminal.command(command)
        for question, answer in answers:
            self._terminal.asked(question)
            self._terminal.type(answer)
        shown = self._terminal.ended()
        words = [word.lstrip("-") for word in command.split()[:3] if "/" not in word]
        self.seen[f"{len(self.seen) + 1:02}-{'-'.join(words)}.txt"] = shown
        # A command that is to be copied may be longer than the screen is wide; what is to be read is not.
        read = [line for line in shown.splitlines()[1:] if not suggestions(line)]
        assert [line for line in read if len(line) > COLUMNS] == []

    def follows(self, start: str, *answers: tuple[str, str]) -> None:
        """Type the suggestion on the screen that begins so; a FILE is the only one that she has."""
        visible = self._terminal.visible()
        found = [command for command in suggestions(visible) if command.startswith(start)]
        assert found, f"nothing on the screen suggests {start!r}:\n{visible}"
        command = re.sub(r"\bFILE\b", ROWS, found[-1])
        assert not re.search(r"\b[A-Z]{2,}\b", command), f"what is meant by {command}?"
        self.types(command, *answers)

    def repeats(self, words: str, *answers: tuple[str, str]) -> None:
        """Type the last command again, as the screen says in these words."""
        shown = list(self.seen.values())[-1]
        assert words in shown
        self.types(shown.splitlines()[0].removeprefix("$ "), *answers)


def test_a_newcomer_gets_from_the_installation_to_a_claimed_refund(terminal: Terminal) -> None:
    """All that is typed was suggested, but the mistakes; each screen is as it is kept beside this file."""
    she = Newcomer(terminal)
    she.types("dcai")  # all that one knows of a program is its name
    she.types("dcai inti")
    she.types(f"dcai contribute {ROWS}")  # before there is anything to contribute with
    she.follows(
        "dcai init",
        ("[me]:", ""),
        ("[embedded]:", ""),
        ("Password for me:", PASSWORD),
        ("The same again:", PASSWORD),
    )
    she.follows("dcai model suggest")
    she.follows("dcai model deploy", YES, UNLOCK)
    she.follows("dcai contribute", YES, ("Password of me:", "a wrong password"))
    she.repeats("try again", YES, UNLOCK)
    she.follows("dcai refunds --claim")  # which is a day too early
    she.follows("dcai devnet advance")
    she.follows("dcai")
    she.follows("dcai refunds --claim", YES, UNLOCK)
    # Of some samples the model thinks otherwise; what nobody reports comes back by the sweep.
    she.follows("dcai")
    she.follows("dcai devnet advance")
    she.follows("dcai")
    she.follows("dcai refunds --claim", YES, UNLOCK)
    she.follows("dcai")
    assert "refunds  none is pending" in list(she.seen.values())[-1]
    compare(she.seen)


def compare(seen: dict[str, str]) -> None:
    """Hold what was seen against the kept screens, or keep it."""
    shown = {name: normalised(text) for name, text in seen.items()}
    if os.environ.get(WRITE):
        for path in SCREENS.glob("*.txt"):
            path.unlink()
        for name, text in shown.items():
            (SCREENS / name).write_text(text, encoding="utf-8")
    kept = {path.name: path.read_text(encoding="utf-8") for path in SCREENS.glob("*.txt")}
    assert shown == kept, f"to keep what is shown now: {WRITE}=1"
