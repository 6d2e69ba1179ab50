"""A real terminal: a shell in a private tmux server, read as somebody reads who sits before it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

COLUMNS, ROWS = 80, 24
"""The size that terminals open with."""

PATIENCE_S = 120
_PROMPT = "$"


class Terminal:
    """A shell on a screen of 80 by 24 characters, in a server of its own.

    Args:
        socket: where the server listens; the system wants a short path.
        folder: where the shell begins.
        environment: all of its variables, but those that a terminal sets.
    """

    def __init__(self, socket: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._socket = socket
        self._typed = 0
        variables = [f"{name}={value}" for name, value in environment.items()]
        # No settings of whoever runs this, and the plainest shell that there is.
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shell = ("env", "-i", "TERM=screen", f"PS1={_PROMPT} ", *variables, "sh", "-i")
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), *shell)
        self._until(lambda lines: lines[-1] == _PROMPT, "a prompt")

    def type(self, text: str) -> None:
        """Type a line, and press Enter."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def command(self, text: str) -> None:
        """Type a command; it need not end at once."""
        self._typed += 1
        self.type(text)

    def asked(self, question: str) -> None:
        """Wait until a question stands at the end of the screen."""
        self._until(lambda lines: lines[-1].endswith(question), repr(question))

    def ended(self) -> str:
        """Wait until the command has ended.

        Returns:
            The command as it was typed, and what it showed, lines that the screen broke in one piece.
        """
        lines = self._until(self._is_waiting, "the end of the command")
        prompts = [at for at, line in enumerate(lines) if _is_prompt(line)]
        return "\n".join(lines[prompts[-2] : prompts[-1]]) + "\n"

    def visible(self) -> str:
        """What stands on the screen: what scrolled away is not there any more."""
        return "\n".join(self._lines())

    def close(self) -> None:
        """End the server, and with it whatever runs there."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)

    def _is_waiting(self, lines: list[str]) -> bool:
        return lines[-1] == _PROMPT and sum(map(_is_prompt, lines)) == self._typed + 1

    def _until(self, holds: Callable[[list[str]], bool], what: str) -> list[str]:
        deadline = time.monotonic() + PATIENCE_S
        while not holds(lines := self._lines("-S", "-")):
            assert time.monotonic() < deadline, f"the screen never showed {what}:\n{self.visible()}"
            time.sleep(0.05)  # a screen tells nobody that it changed
        return lines

    def _lines(self, *options: str) -> list[str]:
        shown = self._tmux("capture-pane", "-p", "-J", *options)
        return [line.rstrip() for line in shown.rstrip().split("\n")]

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"tmux {arguments[0]}: {done.stderr}"
        return done.stdout


def _is_prompt(line: str) -> bool:
    return line == _PROMPT or line.startswith(f"{_PROMPT} ")


_SUGGESTION = re.compile(r"(?:^(?:next|or) +|: |`)(dcai\b[^`]*?)(?:`|$)", re.MULTILINE)


def suggestions(shown: str) -> list[str]:
    """The commands that a screen names: behind `next` or `or`, at the end behind a colon, in backquotes.

    >>> suggestions("next     dcai init")
    ['dcai init']
    >>> suggestions("hint: Type `dcai account list`, or see what is due: dcai refunds")
    ['dcai account list', 'dcai refunds']
    """
    return _SUGGESTION.findall(shown)


_VARYING = (
    (r"0x[0-9a-fA-F]{6,}", lambda found: "0x" + "_" * (len(found[0]) - 2)),
    (r"\.{3}[0-9a-fA-F]{6}\b", lambda _: "...______"),
    (r"\d[\d,]*(\.\d+)? (ETH|gas)\b", lambda found: f"# {found[2]}"),
    (r"\b\d+ (d|h|min|s)\b( \d+ (h|min|s)\b)*", lambda _: "(time)"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lambda _: "(date)"),
)
"""What is another in each run: keys are random, and the chain's clock is this machine's."""


def normalised(shown: str) -> str:
    """What was shown, without addresses, amounts (they depend on the time), durations and dates.

    >>> normalised("in 23 h 59 min: 0.0717 ETH to 0x1efF9B...6341Df")
    'in (time): # ETH to 0x______...______'
    """
    for pattern, replacement in _VARYING:
        shown = re.sub(pattern, replacement, shown)
    return shown
