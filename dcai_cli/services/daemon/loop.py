"""The loop: cycle after cycle, until somebody stops it or there is a fault that no waiting mends.

Clock, waiting and chance are passed in. A cycle that fails is tried again after a while that grows with each
failure; nothing of it is lost, since each cycle begins with what the chain and the ledger say.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from dcai_cli import __version__, files
from dcai_cli.domain import counted, format_duration, format_ether
from dcai_cli.errors import BadInput, DcaiError, Locked, NoAccount, UsageError, WrongChain, WrongPassword
from dcai_cli.ledger.totals import MARKET_KINDS
from dcai_cli.services.accounts import acting_account, unlock
from dcai_cli.services.daemon import state as daemon_state
from dcai_cli.services.daemon.alerts import notice, notice_failure
from dcai_cli.services.daemon.cycle import CycleReport, CycleRequest, LeftOver, run_cycle
from dcai_cli.services.daemon.state import STALE_INTERVALS, DaemonState, counted_up
from dcai_cli.services.daemon.webhook import Webhook, deliver

if TYPE_CHECKING:
    from dcai_cli.services.accounts import ActingAccount
    from dcai_cli.services.markets.tend import Tended
    from dcai_cli.services.workspace import Workspace

FIRST_PAUSE_S = 15.0
"""After the first failure; each further one doubles it."""

LONGEST_PAUSE_S = 900.0
"""Between two attempts, and never longer than the interval."""

SHORTEST_PAUSE_S = 5.0
"""Between two good cycles, however soon something falls due."""

_LOCK_PATIENCE_S = 2.0
"""`dcai daemon status` holds the daemon's lock for a moment when it looks whether somebody does."""

_MOST_LEFT_LOGGED = 20

_RANDOM = SystemRandom()


class Stop(Protocol):
    """Waits, and knows whether somebody wants an end."""

    @property
    def requested(self) -> bool:
        """Whether to stop after the transaction in hand."""

    def wait(self, seconds: float) -> object:
        """Return after some seconds, or as soon as somebody wants an end."""


class Log(Protocol):
    """Takes what happens."""

    def __call__(self, level: str, event: str, message: str, /, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Write it down: debug, info, warning or error; facts hold no secrets."""


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """How the loop runs.

    Args:
        cycle: what each cycle does.
        interval_s: from the end of a good cycle to the next, if nothing falls due sooner.
        stale_after_s: so old the last good cycle may be; three intervals if None.
        webhook: who is told of what is at risk.
        listen: where /healthz and /metrics are, as a URL.
    """

    cycle: CycleRequest
    interval_s: int
    stale_after_s: int | None = None
    webhook: Webhook | None = None
    listen: str | None = None


class Daemon:
    """One account's daemon on one chain.

    Args:
        workspace: the opened parts. Between cycles the chain is closed, so that other commands can use the
            embedded one; the ledger stays open.
        request: how it runs.
        stop: waits.
        log: takes what happens.
        chance: numbers from 0 to 1, for pauses that do not all end together.
    """

    def __init__(
        self,
        workspace: Workspace,
        request: LoopRequest,
        *,
        stop: Stop,
        log: Log,
        chance: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._workspace = workspace
        self._request = request
        self._cycle = request.cycle
        self._stop = stop
        self._log = log
        self._chance = chance
        self._entered = False
        self._path: Path | None = None
        self._left: frozenset[tuple[str, int, str]] = frozenset()
        self._left_in_markets: dict[str, str] = {}
        self.state = DaemonState(
            network=workspace.settings.network_label,
            pid=os.getpid(),
            host=socket.gethostname(),
            version=__version__,
            started_at=int(workspace.clock()),
            interval_s=request.interval_s,
            stale_after_s=request.stale_after_s or STALE_INTERVALS * request.interval_s,
            listen=request.listen,
            budget_wei=request.cycle.daily_budget_wei,
        )
        """How it stands, published anew after each cycle; other threads may read it at any time."""
        self._newborn = self.state

    # Running

    def run(self) -> None:
        """Run cycles until a stop is wanted.

        Raises:
            Locked: another daemon works for this account on this chain.
            WrongPassword, NoAccount, UsageError: no waiting mends that.
            WrongChain: the node is on another chain.
            BadInput: settings, key file or ledger cannot be read, at the start.
        """
        try:
            account = self._acting()
            # Now, while somebody looks, and not when the first deposit is due.
            unlock(self._workspace, account, self._cycle.password)
        except DcaiError as error:
            self._end(error)
        self._log("info", "started", self._greeting(account.name), **self._names())
        with ExitStack() as stack:
            while not self._stop.requested:
                self._turn(stack)
        self._log("info", "stopped", "The daemon ends.", **self._names())

    def run_once(self) -> CycleReport:
        """Run one cycle, as cron wants it.

        Raises:
            DcaiError: the chain, the ledger or the account cannot be opened.
        """
        self.state = replace(self.state, mode="once")
        try:
            self._acting()
            with ExitStack() as stack:
                self._enter(stack)
                report = self._run_cycle()
                self._done(report)
                self.state = replace(self.state, next_at=report.started_at + self._request.interval_s)
                self._tell(report)
        except DcaiError as error:
            self._end(error)
        return report

    def _acting(self) -> ActingAccount:
        """The account, by its address from now on: who makes another the one in use moves no daemon."""
        account = acting_account(self._workspace, self._cycle.account)
        self._cycle = replace(self._cycle, account=account.address)
        self.state = replace(self.state, account=account.address)
        return account

    def _end(self, error: DcaiError) -> NoReturn:
        """Say why the daemon ends, everywhere where somebody may look."""
        if not isinstance(error, _Taken):  # the file is the other daemon's
            self._failed(error)
            self._tell()
        raise error

    def _turn(self, stack: ExitStack) -> None:
        """One cycle and the pause after it."""
        report: CycleReport | None = None
        try:
            try:
                self._enter(stack)
                report = self._run_cycle()
            finally:
                self._workspace.release_chain()
            self._done(report)
        except (WrongPassword, NoAccount, UsageError, WrongChain, _Taken) as error:
            self._end(error)
        except DcaiError as error:
            if isinstance(error, BadInput) and not self._entered:
                self._end(error)  # a ledger that cannot be read, before anything was done
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost a deposit either
            self._failed(_internal(error))
        seconds = self.pause_s()
        if not self._stop.requested:
            self.state = replace(self.state, next_at=int(self._workspace.clock() + seconds))
        self._tell(report)
        if report is not None and isinstance(report.error, WrongPassword | NoAccount | UsageError):
            raise report.error
        if not self._stop.requested:
            self._stop.wait(seconds)

    def _enter(self, stack: ExitStack) -> None:
        """Once the chain is known: the daemon's lock, and what an earlier run left."""
        if self._entered:
            return
        settings, account = self._workspace.settings, self.state.account
        chain = self._workspace.chain.key
        what = f"The daemon's work for {account} on {self._workspace.chain.url_label}"
        try:
            stack.enter_context(
                files.lock(
                    daemon_state.lock_path(settings, chain, account), what=what, wait_s=_LOCK_PATIENCE_S
                )
            )
        except Locked as error:
            raise _Taken(error.message, hint="Look at it: dcai daemon status") from None
        self._cycle = replace(self._cycle, chain_key=chain)
        self._entered = True
        if self.state.chain != chain:
            if self.state.chain:  # what was taken for an earlier run's was another chain's, at the same host
                self.state = replace(self._newborn, account=account)
            self._take_over(daemon_state.load(daemon_state.state_path(settings, chain, account)), chain)
        self.state = replace(self.state, network=settings.network or self._workspace.chain.url_label)

    def _take_over(self, earlier: DaemonState | None, chain: str) -> None:
        """Go on with the counts and alerts of an earlier run."""
        state, earlier = self.state, earlier or DaemonState()
        self._path = daemon_state.state_path(self._workspace.settings, chain, state.account)
        self.state = replace(
            earlier,
            account=state.account,
            chain=chain,
            network=state.network,
            mode=state.mode,
            pid=state.pid,
            host=state.host,
            version=state.version,
            started_at=state.started_at,
            interval_s=state.interval_s,
            stale_after_s=state.stale_after_s,
            listen=state.listen,
            budget_wei=state.budget_wei,
            # A row of failures goes on: under cron each process is one cycle.
            failures=earlier.failures + state.failures,
            failing_since=earlier.failing_since or state.failing_since,
            cycles=_added(earlier.cycles, state.cycles),
            errors=_added(earlier.errors, state.errors),
            announced=tuple(dict.fromkeys((*earlier.announced, *state.announced))),
            alerts=(*earlier.alerts, *state.alerts),
        )

    def _take_over_by_network(self) -> None:
        """Where no node ever answered this process: which chain it is, an earlier run may know."""
        settings, mine = self._workspace.settings, (self.state.account, self.state.network)
        found = [one for one in daemon_state.load_all(settings) if (one.account, one.network) == mine]
        if len(found) == 1 and daemon_state.running(settings, found[0]) is None:
            self._take_over(found[0], found[0].chain)

    def _run_cycle(self) -> CycleReport:
        now = int(self._workspace.clock())
        self.state = replace(self.state, last_start=now)
        if self.state.lost_wei is None:
            # What was lost before the first run is no news.
            totals = self._workspace.ledger.totals(self.state.chain, self.state.account, since=now)
            self.state = replace(self.state, lost_wei=totals.lost_wei)
        return run_cycle(
            self._workspace,
            self._cycle,
            is_stopped=lambda: self._stop.requested,
            wait=self._stop.wait,
        )

    # What a cycle leaves

    def _done(self, report: CycleReport) -> None:
        now = int(self._workspace.clock())
        state = notice(self.state, report, now)
        good = report.outcome == "good"
        failed = report.error is not None
        totals = report.totals
        state = replace(
            state,
            last_end=report.ended_at,
            last_good=report.ended_at if good else state.last_good,
            last_outcome=report.outcome,
            failures=state.failures + 1 if failed else 0 if good else state.failures,
            failing_since=(state.failing_since or now) if failed else None if good else state.failing_since,
            error=_described(report.error),
            cycles=counted_up(state.cycles, report.outcome),
            errors=state.errors if report.error is None else counted_up(state.errors, report.error.code),
            claims=totals.claims,
            left=report.left_by_code,
            exposure=report.exposure or state.exposure,
            balance_wei=state.balance_wei if report.balance_wei is None else report.balance_wei,
            fee_wei=totals.fee_wei,
            fee_today_wei=totals.fee_since_wei,
        )
        self.state = state if report.error is None else notice_failure(state, report.error, now)

    def _failed(self, error: DcaiError) -> None:
        """A cycle that did not even begin."""
        if self._path is None:
            self._take_over_by_network()
        now = int(self._workspace.clock())
        outcome = "skipped" if isinstance(error, Locked) else "failed"
        state = replace(
            self.state,
            last_end=now,
            last_outcome=outcome,
            failures=self.state.failures + 1,
            failing_since=self.state.failing_since or now,
            error=_described(error),
            cycles=counted_up(self.state.cycles, outcome),
            errors=counted_up(self.state.errors, error.code),
        )
        self.state = notice_failure(state, error, now)
        self._log_error(error)

    def _tell(self, report: CycleReport | None = None) -> None:
        """Write the state down, then say what happened, then tell the webhook what waits."""
        self._save()
        if report is not None:
            self._log_report(report)
        webhook = self._request.webhook
        if webhook is None:
            if self.state.alerts:
                for alert in self.state.alerts:
                    self._log("warning", "alert", alert.text, kind=alert.kind, id=alert.id)
                self.state = replace(self.state, alerts=())
                self._save()
            return
        for state in deliver(webhook, self.state, self._log):
            self.state = state
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            daemon_state.save(self._path, self.state)
        except DcaiError as error:
            # Deposits do not depend on it; a full disk must not end the daemon.
            self._log("error", "state", error.message, code=error.code)

    # The pause

    def pause_s(self) -> float:
        """How long until the next cycle: less if something falls due, or after a failure."""
        interval_s, failures = float(self._request.interval_s), self.state.failures
        if failures:
            longest_s = min(interval_s, LONGEST_PAUSE_S)
            pause_s = min(longest_s, FIRST_PAUSE_S * float(1 << min(failures - 1, 20)))
            return pause_s * (0.5 + self._chance() / 2)
        out = self.state.exposure
        if out is None or out.next_moment is None or out.chain_time is None:
            return interval_s
        # A little later: the chain's time must have reached the moment.
        due_s = max(SHORTEST_PAUSE_S, out.next_moment - out.chain_time + 2.0)
        return min(interval_s, due_s)

    # What it says

    def _greeting(self, name: str) -> str:
        interval = format_duration(self._request.interval_s)
        return f"The daemon works for {name} ({self.state.account}) on {self.state.network} every {interval}."

    def _names(self) -> dict[str, Any]:
        return {
            "account": self.state.account,
            "network": self.state.network,
            "pid": self.state.pid,
            "version": self.state.version,
            "listen": self.state.listen,
        }

    def _log_report(self, report: CycleReport) -> None:
        for claim in report.claims:
            level, what = ("info", "paid") if claim.mined else ("warning", "reverted;")
            amount = f" {format_ether(claim.amount_wei)} for {claim.samples} samples"
            if claim.kind in MARKET_KINDS:
                what = "done" if claim.mined else "reverted"
                amount = f", collected {format_ether(claim.amount_wei)}" if claim.amount_wei else ""
            self._log(
                level,
                "claim",
                f"{claim.kind} {claim.hash} {what}{amount}, fee {format_ether(claim.fee_wei)}",
                kind=claim.kind,
                transaction=claim.hash,
                mined=claim.mined,
                amount_wei=str(claim.amount_wei),
                samples=claim.samples,
                fee_wei=str(claim.fee_wei),
                gas_used=claim.gas_used,
            )
        self._log_left(report.left)
        self._log_markets(report.markets)
        out = report.exposure
        pending = ""
        if out is not None:
            pending = f", {counted(out.pending_batches, 'batch')} with {format_ether(out.pending_wei)} out"
        self._log(
            "info",
            "cycle",
            f"Cycle {report.outcome}: {counted(len(report.claims), 'claim')}{pending}",
            outcome=report.outcome,
            seconds=report.ended_at - report.started_at,
            recovered=report.recovered,
            claims=len(report.claims),
            left=report.left_by_code,
            pending_batches=None if out is None else out.pending_batches,
            pending_wei=None if out is None else str(out.pending_wei),
            at_risk_wei=None if out is None else str(out.at_risk_wei),
            balance_wei=None if report.balance_wei is None else str(report.balance_wei),
            fee_today_wei=str(report.totals.fee_since_wei),
        )
        if report.error is not None:
            self._log_error(report.error)

    def _log_left(self, left: tuple[LeftOver, ...]) -> None:
        """Say once why a batch is left, not every time."""
        now = frozenset((one.model, one.batch_id, one.code) for one in left)
        fresh = [one for one in left if (one.model, one.batch_id, one.code) not in self._left]
        for one in fresh[:_MOST_LEFT_LOGGED]:
            self._log(
                "info",
                "left",
                f"Batch {one.batch_id} of {one.model_name} is left: {one.reason}.",
                model=one.model,
                batch_id=one.batch_id,
                code=one.code,
            )
        if len(fresh) > _MOST_LEFT_LOGGED:
            self._log("info", "left", f"And {len(fresh) - _MOST_LEFT_LOGGED} more batches are left.")
        self._left = now

    def _log_markets(self, markets: tuple[Tended, ...]) -> None:
        """Say what a market paid; and once, not every time, why something is left there."""
        for one in markets:
            facts = {"market": one.address, "stage": one.stage, "moves": list(one.moves)}
            if one.paid_wei:
                self._log(
                    "info",
                    "market",
                    f"{one.name} paid {format_ether(one.paid_wei)}.",
                    **facts,
                    paid_wei=str(one.paid_wei),
                )
            if one.code and self._left_in_markets.get(one.address) != one.code:
                self._log("info", "market", f"{one.name} is left: {one.reason}", **facts, code=one.code)
        self._left_in_markets = {one.address: one.code for one in markets}

    def _log_error(self, error: DcaiError) -> None:
        level = "warning" if isinstance(error, Locked) else "error"
        self._log(level, "error", error.message, code=error.code, hint=error.hint)


class _Taken(Locked):
    """Another daemon works for this account on this chain; waiting for it is of no use."""


def _described(error: DcaiError | None) -> dict[str, str] | None:
    return None if error is None else {"code": error.code, "message": error.message, "hint": error.hint}


def _added(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *more)}


def _internal(error: Exception) -> DcaiError:
    """A fault of ours, without its message, which may hold anything: where it happened is what helps."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "dcai_cli" in frame.filename] or list(frames)
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return _Internal(
        f"An unexpected {type(error).__name__}{place}.", hint="Please report it with the version of dcai."
    )


class _Internal(DcaiError):
    """A fault of the program."""

    code = "internal"
