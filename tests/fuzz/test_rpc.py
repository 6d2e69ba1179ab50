"""A part of the hostile answers in the normal suite; `make fuzz-rpc` serves 10,000."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import StartAnvil
from tests.fuzz.rpc import fuzz, problems


def test_a_hostile_node_makes_no_command_crash_or_sign_what_was_not_shown(
    tmp_path: Path, anvil: StartAnvil
) -> None:
    """300 broken or lying answers: exit codes of ours, no secrets, no signature but what was agreed to."""
    outcome = fuzz(300, tmp_path, anvil("--hardfork", "cancun"))
    assert outcome.answers.total() >= 300
    assert problems(outcome) == []
