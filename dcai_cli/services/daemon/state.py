"""What a daemon leaves on disk for `dcai daemon status`, for the next run, and for its web page.

One small JSON file for each account and chain, written whole after each cycle. No deposit depends on it: what
is damaged or lost begins anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from dcai_cli import files
from dcai_cli.services.exposure import Exposure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dcai_cli.config import Settings
    from dcai_cli.files import Holder

FORMAT = 1
"""Version of the file."""

STALE_INTERVALS = 3
"""After so many intervals without a good cycle a daemon is not healthy."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that the webhook shall hear, once.

    Args:
        id: tells it from all others, so that a receiver can tell a repetition.
        kind: at-risk, lost, cannot-work or recovered.
        at: when it was noticed, in seconds since 1970.
        text: what happened, for people.
        facts: the same as plain values; amounts are decimal strings of wei.
        attempts: how often it was sent in vain.
    """

    id: str
    kind: str
    at: int
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class DaemonState:
    """How a daemon stands.

    Args:
        account: its account's address; empty as long as no node ever answered.
        chain: the chain's key, likewise.
        network: "embedded", or the node's host.
        mode: "loop", or "once" for what cron starts.
        pid: the process that wrote this.
        host: on which machine.
        version: of dcai.
        started_at: when that process began.
        interval_s: how far apart cycles are.
        stale_after_s: so old the last good cycle may be.
        listen: where /healthz and /metrics are; None if nowhere.
        last_start: when the last cycle began.
        last_end: when it ended.
        last_good: when the last good one ended.
        last_outcome: good, failed, skipped or stopped.
        next_at: when the next cycle is planned.
        failures: cycles without success since the last good one.
        failing_since: when the first of them ended.
        error: code and message of the last cycle's error; None if it had none.
        cycles: outcome -> how many cycles.
        errors: code -> how many.
        claims: kind -> how many transactions, by the ledger.
        left: code -> how many batches the last cycle left.
        exposure: what is out.
        balance_wei: the account's balance.
        fee_wei: fees of all claims.
        fee_today_wei: of today's.
        budget_wei: of a day; None for no limit.
        lost_wei: what others took.
        announced: what the webhook has heard and what still holds.
        alerts: what it has yet to hear.
    """

    account: str = ""
    chain: str = ""
    network: str = ""
    mode: str = "loop"
    pid: int = 0
    host: str = ""
    version: str = ""
    started_at: int = 0
    interval_s: int = 0
    stale_after_s: int = 0
    listen: str | None = None
    last_start: int | None = None
    last_end: int | None = None
    last_good: int | None = None
    last_outcome: str | None = None
    next_at: int | None = None
    failures: int = 0
    failing_since: int | None = None
    error: dict[str, str] | None = None
    cycles: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    exposure: Exposure | None = None
    balance_wei: int | None = None
    fee_wei: int = 0
    fee_today_wei: int = 0
    budget_wei: int | None = None
    lost_wei: int | None = None
    announced: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def health(self, now: float) -> tuple[bool, str]:
        """Whether the last good cycle is recent enough, and why not."""
        if self.last_good is None:
            why = "There was no good cycle yet"
        elif now - self.last_good > self.stale_after_s:
            age_s = int(now) - self.last_good
            why = f"The last good cycle ended {age_s} s ago, the limit is {self.stale_after_s} s"
        else:
            return True, ""
        return False, f"{why}: {self.error['message']}" if self.error else f"{why}."


def state_path(settings: Settings, chain: str, account: str) -> Path:
    """Where the state of one account and chain stands."""
    return settings.data_dir / "daemon" / f"{chain}-{account.lower()}.json"


def lock_path(settings: Settings, chain: str, account: str) -> Path:
    """The lock that the loop of one account and chain holds as long as it runs."""
    return settings.data_dir / "locks" / f"{chain}-{account.lower()}.daemon.lock"


def running(settings: Settings, state: DaemonState) -> Holder | None:
    """The process that runs the loop of a state's account and chain now; None if there is none."""
    return files.lock_holder(lock_path(settings, state.chain, state.account))


def save(path: Path, state: DaemonState) -> None:
    """Write a state, readable for its owner only.

    Raises:
        DcaiError: the disk is full, or the folder cannot be written.
    """
    text = json.dumps({"format": FORMAT, **asdict(state)}, indent=1)
    files.write_atomically(path, f"{text}\n".encode())


def load(path: Path) -> DaemonState | None:
    """Read a state; None if there is none, or none that this version understands."""
    try:
        form = json.loads(path.read_bytes())
        return _from_form(form) if isinstance(form, dict) and form.pop("format", None) == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def load_all(settings: Settings) -> Iterator[DaemonState]:
    """The states of all accounts and chains of a home, by the names of their files."""
    for path in sorted((settings.data_dir / "daemon").glob("*.json")):
        state = load(path)
        if state is not None:
            yield state


def counted_up(counts: dict[str, int], name: str) -> dict[str, int]:
    """Counts with one more of a name."""
    return {**counts, name: counts.get(name, 0) + 1}


_EXPECTED: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "dict[str, int]": dict,
    "dict[str, str] | None": (dict, type(None)),
}


def _from_form(form: dict[str, Any]) -> DaemonState:
    """A state from its JSON form; whoever edits the file by hand may have broken it.

    Raises:
        TypeError: a field is missing, unknown, or of another type.
    """
    exposure, alerts, announced = form.pop("exposure"), form.pop("alerts"), form.pop("announced")
    for name in fields(DaemonState):
        expected = _EXPECTED.get(str(name.type))
        if expected and not isinstance(form[name.name], expected):
            raise TypeError(name.name)
    state = DaemonState(**form)
    return replace(
        state,
        exposure=None if exposure is None else Exposure(**exposure),
        alerts=tuple(Alert(**alert) for alert in alerts),
        announced=tuple(map(str, announced)),
    )
