"""How a daemon stands, as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from dcai_cli.services.daemon.state import DaemonState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _StateCollector(Collector):
    def __init__(self, state: DaemonState, now: float) -> None:
        self._state = state
        self._now = now

    def collect(self) -> Iterable[Metric]:
        return [*_facts(self._state, self._now), *_counts(self._state)]


def metrics_text(state: DaemonState, now: float) -> bytes:
    """The page `/metrics`.

    Args:
        state: how the daemon stands; what it does not know yet is left out.
        now: seconds since 1970.
    """
    registry = CollectorRegistry()
    registry.register(_StateCollector(state, now))
    return generate_latest(registry)


def _facts(state: DaemonState, now: float) -> Iterator[Metric]:
    names = {"version": state.version, "account": state.account, "chain": state.chain}
    yield InfoMetricFamily("dcai_daemon", "Which daemon this is.", value={**names, "network": state.network})
    gauges: list[tuple[str, str, float | None]] = [
        ("dcai_healthy", "Whether the last good cycle is recent enough.", int(state.health(now)[0])),
        ("dcai_balance_wei", "What the account has.", state.balance_wei),
        ("dcai_lost_wei", "Deposits that others took.", state.lost_wei),
        ("dcai_gas_spent_today_wei", "Fees of the claims of this day (UTC).", state.fee_today_wei),
        ("dcai_gas_budget_wei", "Fees that a day may have.", state.budget_wei),
        ("dcai_failures", "Cycles without success since the last good one.", state.failures),
        ("dcai_last_good_cycle_timestamp_seconds", "When the last good cycle ended.", state.last_good),
        ("dcai_last_cycle_timestamp_seconds", "When the last cycle ended.", state.last_end),
        ("dcai_next_cycle_timestamp_seconds", "When the next cycle is planned.", state.next_at),
    ]
    out = state.exposure
    if out is not None:
        gauges += [
            ("dcai_pending_batches", "Batches with something open.", out.pending_batches),
            ("dcai_pending_wei", "What is left of their deposits.", out.pending_wei),
            ("dcai_claimable_batches", "Batches that can be claimed now.", out.claimable_batches),
            ("dcai_claimable_wei", "What is left of their deposits.", out.claimable_wei),
            ("dcai_at_risk_batches", "Batches that others can take, or soon can.", out.at_risk_batches),
            ("dcai_at_risk_wei", "What is left of their deposits.", out.at_risk_wei),
            (
                "dcai_oldest_deadline_timestamp_seconds",
                "When others can take the first of what is out, by the chain's time.",
                out.oldest_deadline,
            ),
        ]
    for name, text, value in gauges:
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


def _counts(state: DaemonState) -> Iterator[Metric]:
    yield CounterMetricFamily("dcai_gas_spent_wei", "Fees of all claims.", value=state.fee_wei)
    for name, label, text, counts in (
        ("dcai_cycles", "outcome", "Cycles, by how they ended.", state.cycles),
        ("dcai_errors", "code", "Errors of cycles.", state.errors),
        ("dcai_claims", "kind", "Claims that were mined.", state.claims),
    ):
        family = CounterMetricFamily(name, text, labels=[label])
        for value, count in sorted(counts.items()):
            family.add_metric([value], count)
        yield family
    left = GaugeMetricFamily(
        "dcai_left_batches", "What the last cycle did not claim, by reason.", labels=["code"]
    )
    for code, count in sorted(state.left.items()):
        left.add_metric([code], count)
    yield left
