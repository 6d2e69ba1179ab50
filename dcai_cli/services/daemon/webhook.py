"""Telling somebody by HTTP: one POST of JSON for each alert.

The URL is a secret: whoever has it can post. Only its host is ever shown. The daemon never depends on it:
what cannot be delivered waits for the next cycle, and goes after some attempts.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dcai_cli.config import webhook_host
from dcai_cli.domain import iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dcai_cli.services.daemon.state import Alert, DaemonState

MOST_ATTEMPTS = 20
"""After so many an alert is given up."""

MOST_AT_ONCE = 5
"""So many are sent after one cycle: a slow receiver must not keep claims waiting."""

TIMEOUT_S = 10.0
"""For one POST, from connecting to the answer's first line."""

_PATIENCE_S = 15.0
"""Whoever answers byte by byte does not hold the daemon up for longer."""


class Webhook:
    """Where alerts go.

    Args:
        url: http or https; never shown but for its host.

    Raises:
        UsageError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        self.label = webhook_host(url)
        self._url = url
        self._busy: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Webhook({self.label})"

    def post(self, document: dict[str, Any]) -> str:
        """Send one document.

        Returns:
            Why it did not arrive; empty if it did.
        """
        if self._busy is not None and self._busy.is_alive():
            return "the attempt before has not ended"
        answer: list[str] = []
        self._busy = threading.Thread(
            target=lambda: answer.append(self._post(document)), name="webhook", daemon=True
        )
        self._busy.start()
        self._busy.join(_PATIENCE_S)
        return answer[0] if answer else f"no answer within {_PATIENCE_S:.0f} seconds"

    def _post(self, document: dict[str, Any]) -> str:
        import requests

        try:
            # A redirect would show the URL to whoever it leads to. The body is never read.
            with requests.post(
                self._url, json=document, timeout=TIMEOUT_S, allow_redirects=False, stream=True
            ) as response:
                status = response.status_code
        except requests.Timeout:
            return f"no answer within {TIMEOUT_S:.0f} seconds"
        except (requests.RequestException, OSError, ValueError) as error:
            return type(error).__name__  # its message holds the URL
        return "" if 200 <= status < 300 else f"HTTP {status}"


def deliver(
    webhook: Webhook,
    state: DaemonState,
    log: Callable[..., None],
) -> Iterator[DaemonState]:
    """Send what waits, the oldest first; stop at the first that does not arrive.

    Args:
        webhook: where to.
        state: with the alerts that wait.
        log: takes level, event, message and facts.

    Yields:
        The state after each attempt, to be written down at once: what was heard is not said again.
    """
    for _ in range(MOST_AT_ONCE):
        if not state.alerts:
            return
        alert, *rest = state.alerts
        why = webhook.post(document_of(alert, state))
        if not why:
            log("info", "webhook", f"Told {webhook.label}: {alert.text}", kind=alert.kind, id=alert.id)
            state = replace(state, alerts=tuple(rest))
            yield state
            continue
        tried = replace(alert, attempts=alert.attempts + 1)
        given_up = tried.attempts >= MOST_ATTEMPTS
        log(
            "warning",
            "webhook",
            f"{webhook.label} did not take an alert ({why}): {alert.text}"
            + (" It is given up." if given_up else ""),
            kind=alert.kind,
            id=alert.id,
            attempts=tried.attempts,
        )
        yield replace(state, alerts=tuple(rest) if given_up else (tried, *rest))
        return


def document_of(alert: Alert, state: DaemonState) -> dict[str, Any]:
    """What is posted: `text` is what chat programs show, the rest is for programs."""
    return {
        "version": 1,
        "id": alert.id,
        "event": alert.kind,
        "time": iso_time(alert.at),
        "account": state.account,
        "chain": state.chain,
        "network": state.network,
        "text": f"dcai: {alert.text}",
        "data": alert.facts,
    }
