"""What `dcai daemon` says: its log on stderr, and the documents of its commands."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dcai_cli.cli.output import Output, printable
from dcai_cli.domain import counted, format_duration, format_ether, iso_time
from dcai_cli.errors import Interrupted, PartlyDone, UsageError, and_goes_on

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from dcai_cli.services.daemon.cycle import CycleReport
    from dcai_cli.services.daemon.install import Installation
    from dcai_cli.services.daemon.loop import Log
    from dcai_cli.services.daemon.state import DaemonState

# The log


def make_log(log_format: str, *, quiet: bool) -> Log:
    """A log on stderr, a line an entry; with --quiet only what is wrong."""
    if log_format not in {"text", "json"}:
        raise UsageError(f"--log-format {log_format!r} is neither text nor json.", hint="Name one of them.")

    def log(level: str, event: str, message: str, /, **facts: Any) -> None:  # noqa: ANN401 - JSON
        if quiet and level in {"debug", "info"}:
            return
        at = iso_time(int(time.time()))
        if log_format == "json":
            line = json.dumps({"time": at, "level": level, "event": event, "message": message, **facts})
        else:
            hint = f" {facts['hint']}" if facts.get("hint") else ""
            line = printable(f"{at} {level:7} {event}: {message}{hint}").replace("\n", " ")
        with suppress(OSError, ValueError):  # whoever read the log has gone
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return log


def teller(log: Log) -> Callable[[str], None]:
    """What to do when the first signal comes: say so."""

    def tell(name: str) -> None:
        # In a signal's handler nothing may wait: the stream may be in use by the thread that it interrupted.
        with suppress(RuntimeError):
            log(
                "info",
                "stopping",
                f"{name}: the transaction in hand is finished; a second signal ends at once",
            )

    return tell


# What is printed


def print_report(output: Output, report: CycleReport) -> None:
    """Print a cycle's document; an error instead if it had one."""
    if report.error is not None:
        if report.claims:
            claims = counted(len(report.claims), "claim is", "claims are")
            raise PartlyDone(
                f"{claims} on-chain; then: {report.error.message}",
                hint=and_goes_on(report.error.hint),
            ) from report.error
        raise report.error
    if report.outcome == "stopped":
        raise Interrupted(
            f"Stopped after {counted(len(report.claims), 'claim')}.",
            hint=and_goes_on(""),
        )

    def human(console: Console) -> None:
        from dcai_cli.ledger.totals import MARKET_KINDS

        claims = [claim for claim in report.claims if claim.kind not in MARKET_KINDS]
        paid_wei = sum(claim.amount_wei for claim in claims)
        samples = sum(claim.samples for claim in claims)
        fee_wei = sum(claim.fee_wei for claim in claims)
        for market in report.markets:
            if market.moves:
                paid = f", paid {format_ether(market.paid_wei)}" if market.paid_wei else ""
                console.print(f"{market.name}: {', '.join(market.moves)}{paid}")
        if claims:
            console.print(
                f"{counted(len(claims), 'claim')} paid {format_ether(paid_wei)} "
                f"for {counted(samples, 'sample')}, fees {format_ether(fee_wei)}"
            )
        elif not output.quiet and not any(market.moves for market in report.markets):
            console.print("Nothing was claimed.")
        out = report.exposure
        if out is not None and not output.quiet:
            batches = counted(out.pending_batches, "batch with", "batches with")
            verb = "is" if out.pending_batches == 1 else "are"
            console.print(f"{batches} {format_ether(out.pending_wei)} {verb} out.")

    output.result(_report_data(report), human)


def _report_data(report: CycleReport) -> dict[str, Any]:
    out = report.exposure
    return {
        "outcome": report.outcome,
        "account": report.account,
        "network": report.network,
        "started_at": iso_time(report.started_at),
        "ended_at": iso_time(report.ended_at),
        "chain_time": _time(report.chain_time),
        "recovered": report.recovered,
        "claims": [
            {
                "kind": claim.kind,
                "transaction": claim.hash,
                "mined": claim.mined,
                "amount_wei": str(claim.amount_wei),
                "samples": claim.samples,
                "gas_used": claim.gas_used,
                "fee_wei": str(claim.fee_wei),
            }
            for claim in report.claims
        ],
        "left": [
            {"model": left.model, "batch_id": left.batch_id, "code": left.code, "reason": left.reason}
            for left in report.left
        ],
        "markets": [
            {
                "market": one.address,
                "name": one.name,
                "stage": one.stage,
                "moves": list(one.moves),
                "paid_wei": str(one.paid_wei),
                "next_moment": _time(one.next_moment),
                "code": one.code or None,
                "reason": one.reason or None,
            }
            for one in report.markets
        ],
        **_exposure_data(out),
        "balance_wei": _wei(report.balance_wei),
        "gas_spent_today_wei": str(report.totals.fee_since_wei),
    }


def _exposure_data(out: Any) -> dict[str, Any]:  # noqa: ANN401 - an Exposure or None
    names = ("pending", "claimable", "at_risk")
    data: dict[str, Any] = {}
    for name in names:
        data[f"{name}_batches"] = None if out is None else getattr(out, f"{name}_batches")
        data[f"{name}_wei"] = None if out is None else str(getattr(out, f"{name}_wei"))
    return {**data, "oldest_deadline": None if out is None else _time(out.oldest_deadline)}


def _time(timestamp: int | None) -> str | None:
    return None if timestamp is None else iso_time(timestamp)


def _wei(amount_wei: int | None) -> str | None:
    return None if amount_wei is None else str(amount_wei)


def status_data(state: DaemonState, name: str | None, is_running: bool, now: float) -> dict[str, Any]:
    """One daemon, as `dcai daemon status --json` describes it."""
    healthy, why = state.health(now)
    if state.mode == "loop" and not is_running:
        healthy, why = False, f"No daemon runs. {why}".strip()
    return {
        "name": name,
        "account": state.account,
        "network": state.network,
        "mode": state.mode,
        "running": is_running,
        "pid": state.pid if is_running else None,
        "host": state.host,
        "healthy": healthy,
        "why": why,
        "interval_s": state.interval_s,
        "started_at": iso_time(state.started_at),
        "last_cycle": _time(state.last_end),
        "last_outcome": state.last_outcome,
        "last_good_cycle": _time(state.last_good),
        "next_cycle": _time(state.next_at),
        "failures": state.failures,
        "error": state.error,
        "listen": state.listen,
        "left": [{"code": code, "batches": count} for code, count in sorted(state.left.items())],
        **_exposure_data(state.exposure),
        "lost_wei": _wei(state.lost_wei),
        "balance_wei": _wei(state.balance_wei),
        "gas_spent_wei": str(state.fee_wei),
        "gas_spent_today_wei": str(state.fee_today_wei),
        "gas_budget_wei": _wei(state.budget_wei),
        "undelivered_alerts": len(state.alerts),
    }


def show_status(console: Console, one: dict[str, Any], state: DaemonState, now: float) -> None:
    """The same for people."""
    who = one["name"] or one["account"]
    runs = f"runs (pid {one['pid']})" if one["running"] else "does not run"
    if state.mode == "once":
        runs = "is started for each cycle" if not one["running"] else f"works now (pid {one['pid']})"
    console.print(f"{who} on {one['network']}: {runs}, {'healthy' if one['healthy'] else 'not healthy'}")
    if one["why"]:
        console.print(f"  {one['why']}")
    console.print(f"  last good cycle {_ago(state.last_good, now)}, next {_ago(state.next_at, now)}")
    out = state.exposure
    if out is not None:
        console.print(
            f"  out {format_ether(out.pending_wei)} in {counted(out.pending_batches, 'batch')}, "
            f"claimable {format_ether(out.claimable_wei)}, at risk {format_ether(out.at_risk_wei)}"
        )
        if out.oldest_deadline is not None:
            console.print(f"  first deadline {iso_time(out.oldest_deadline)}")
    balance = "unknown" if state.balance_wei is None else format_ether(state.balance_wei)
    budget = "" if state.budget_wei is None else f" of {format_ether(state.budget_wei)}"
    console.print(f"  balance {balance}, fees today {format_ether(state.fee_today_wei)}{budget}")


def _ago(timestamp: int | None, now: float) -> str:
    if timestamp is None:
        return "never"
    away = format_duration(timestamp - int(now))
    return f"{away} ago" if timestamp <= now else f"in {away}"


def print_installed(
    output: Output, plan: Installation, *, text: str, path: Path | None, was_written: bool
) -> None:
    """Print what was written, or would be, and what to type next."""

    def human(console: Console) -> None:
        if not was_written:
            console.print(text.rstrip("\n"))
            return
        console.print(f"{path} is written." if path else "The line is in your crontab:")
        if path is None:
            console.print(text)
            return
        console.print("Start it, now and whenever the machine starts:")
        console.print("  systemctl --user daemon-reload")
        console.print(f"  systemctl --user enable --now {plan.name}")
        console.print("  loginctl enable-linger    # it goes on when you log out")

    data = {
        "name": plan.name,
        "written": was_written,
        "path": None if path is None else str(path),
        "environment_file": str(plan.environment_path),
        "text": text,
    }
    output.result(data, human)
