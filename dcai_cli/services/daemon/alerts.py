"""What is worth waking somebody for: deposits at risk, deposits lost, a daemon that cannot work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dcai_cli.domain import format_duration, format_ether, iso_time
from dcai_cli.services.daemon.state import Alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcai_cli.errors import DcaiError
    from dcai_cli.services.daemon.cycle import CycleReport
    from dcai_cli.services.daemon.state import DaemonState
    from dcai_cli.services.exposure import Endangered

MOST_ALERTS = 100
"""So many are kept for a webhook that does not answer; the oldest go first."""

MOST_SHOWN = 50
"""So many batches are named in one alert."""

_AT_RISK, _CANNOT_WORK = "at-risk:", "cannot-work:"
_AT_ONCE = frozenset({"insufficient-funds", "wrong-password", "wrong-chain", "no-account", "usage"})
"""Errors that no waiting mends: there is nothing gained by telling later."""


def notice(state: DaemonState, report: CycleReport, now: int) -> DaemonState:
    """Add what a cycle found to what the webhook shall hear; what it heard before is not said again.

    Args:
        state: as it stands before the report is in it.
        report: what the cycle found.
        now: seconds since 1970.
    """
    alerts: list[Alert] = []
    announced = list(state.announced)
    if report.exposure is not None:
        keys = {_key(one): one for one in report.endangered}
        # Safe now, or lost; if it comes into danger again, that is news again.
        announced = [key for key in announced if not key.startswith(_AT_RISK) or key in keys]
        known = set(announced)
        fresh = {key: one for key, one in keys.items() if key not in known}
        announced += fresh
        for model, code in dict.fromkeys((one.model, one.code) for one in fresh.values()):
            group = [one for one in fresh.values() if (one.model, one.code) == (model, code)]
            alerts.append(_at_risk(report, group, now))
    lost_wei = report.totals.lost_wei
    if state.lost_wei is not None and lost_wei > state.lost_wei:
        alerts.append(_lost(report, lost_wei - state.lost_wei, lost_wei, now))
    if report.error is None:
        told = [key for key in announced if key.startswith(_CANNOT_WORK)]
        if told and report.outcome == "good":
            alerts.append(_recovered(state, now))
            announced = [key for key in announced if key not in told]
    return _with(replace(state, announced=tuple(announced), lost_wei=lost_wei), alerts)


def notice_failure(state: DaemonState, error: DcaiError, now: int) -> DaemonState:
    """Add that the daemon cannot work: at once where ether is missing, else when its health fails, too.

    Args:
        state: with the failed cycle counted.
        error: what is in its way.
        now: seconds since 1970.
    """
    key = f"{_CANNOT_WORK}{error.code}"
    failing_s = now - (now if state.failing_since is None else state.failing_since)
    if key in state.announced or (error.code not in _AT_ONCE and failing_s < state.stale_after_s):
        return state
    facts: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    text = f"The daemon cannot work since {format_duration(failing_s)}: {error.message}"
    if state.exposure is not None and state.exposure.pending_batches:
        facts |= {"pending_wei": str(state.exposure.pending_wei)}
        text += f" {format_ether(state.exposure.pending_wei)} are out."
        if state.exposure.oldest_deadline is not None:
            deadline = iso_time(state.exposure.oldest_deadline)
            facts |= {"oldest_deadline": deadline}
            text += f" Others can take the first of it from {deadline} on."
    alert = Alert(f"{state.account}:{key}:{now}", "cannot-work", now, text, facts)
    return _with(replace(state, announced=(*state.announced, key)), [alert])


def _with(state: DaemonState, alerts: Sequence[Alert]) -> DaemonState:
    return replace(state, alerts=(*state.alerts, *alerts)[-MOST_ALERTS:]) if alerts else state


def _key(one: Endangered) -> str:
    return f"{_AT_RISK}{one.model}:{one.batch_id}:{one.code}"


def _at_risk(report: CycleReport, group: Sequence[Endangered], now: int) -> Alert:
    """One alert for all batches of a model that are in the same danger: there may be thousands."""
    assert report.chain_time is not None
    first = min(group, key=lambda one: one.deadline)
    amount_wei = sum(one.amount_wei for one in group)
    what = f"batch {first.batch_id}" if len(group) == 1 else f"{len(group)} batches"
    when = "since" if first.deadline <= report.chain_time else "from"
    text = (
        f"{format_ether(amount_wei)} of {what} of {first.model_name} are at risk: others can take them "
        f"{when} {iso_time(first.deadline)}, and {first.reason}."
    )
    facts = {
        "model": first.model,
        "batches": [one.batch_id for one in group[:MOST_SHOWN]],
        "batches_in_all": len(group),
        "amount_wei": str(amount_wei),
        "deadline": iso_time(first.deadline),
        "code": first.code,
        "reason": first.reason,
    }
    return Alert(f"{report.chain}:{report.account}:{_key(first)}:{now}", "at-risk", now, text, facts)


def _lost(report: CycleReport, amount_wei: int, total_wei: int, now: int) -> Alert:
    text = f"{format_ether(amount_wei)} of deposits were lost to others; {format_ether(total_wei)} in all."
    facts = {"amount_wei": str(amount_wei), "total_wei": str(total_wei)}
    return Alert(f"{report.chain}:{report.account}:lost:{total_wei}", "lost", now, text, facts)


def _recovered(state: DaemonState, now: int) -> Alert:
    since = "" if state.failing_since is None else f" after {format_duration(now - state.failing_since)}"
    text = f"The daemon works again{since}."
    return Alert(f"{state.account}:recovered:{now}", "recovered", now, text)
