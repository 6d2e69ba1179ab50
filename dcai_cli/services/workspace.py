"""What a use case works with: settings, ledger, keystore and chain, each opened when first used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dcai_cli.keystore import Keystore
from dcai_cli.ledger import Ledger, open_ledger

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dcai_cli.chain import Chain
    from dcai_cli.config import Settings


ASIDE_WAIT_S = 60.0
"""How long to wait for another process that used the account meanwhile."""


class Turn:
    """The right to send for an account.

    Args:
        take: takes the account's lock; waits so many seconds for another process that has it.
    """

    def __init__(self, take: Callable[[float], AbstractContextManager[object]]) -> None:
        self._take = take
        self._held = ExitStack()
        self._held.enter_context(take(0))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others send meanwhile, the daemon for instance: while a person reads a question, or in a pause.

        What was read before may have changed afterwards.

        Raises:
            Locked: another process has it afterwards, and goes on for long.
        """
        self._held.close()
        yield
        self._held.enter_context(self._take(ASIDE_WAIT_S))

    def close(self) -> None:
        """Give it back."""
        self._held.close()


class Workspace:
    """The opened parts of one command; use it as a context manager.

    Args:
        settings: where everything stands and which network is meant.
        clock: seconds since 1970; the embedded chain's blocks follow it.
        sleep: waits some seconds.
        keystore: another keystore than that of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        keystore: Keystore | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.sleep = sleep
        self.unlocked: dict[str, LocalAccount] = {}
        self.keystore = keystore or Keystore(settings.keystore_dir)
        self._stack = ExitStack()
        self._chain_stack = ExitStack()
        self._stack.callback(self.release_chain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def release_chain(self) -> None:
        """Close the chain, if it is open; whoever asks for it next opens it again, and checks its id.

        The embedded chain belongs to one process while it is open.
        """
        self.__dict__.pop("chain", None)
        self._chain_stack.close()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        ledger = open_ledger(self.settings.ledger)
        self._stack.callback(ledger.close)
        return ledger

    @cached_property
    def chain(self) -> Chain:
        """The chain of the settings: embedded, or behind an RPC URL."""
        from dcai_cli.chain import open_chain

        return self._chain_stack.enter_context(open_chain(self.settings, clock=self.clock))

    @contextmanager
    def sending(self, address: str, *, exclusive: bool = True) -> Iterator[Turn]:
        """Hold the lock of one account on this chain: nonces and plans belong to one process at a time.

        On the embedded chain an account that is new there is funded first.

        Args:
            address: the account.
            exclusive: whether nobody else may send for it. Claims may, where the ledger is on a server: there
                each takes other batches, and nonces are chosen one by one.

        Yields:
            The turn, which can be given to others for a while.
        """
        name, is_locked = f"{self.chain.key}-{address.lower()}", exclusive or not self.ledger.is_server

        def take(wait_s: float) -> AbstractContextManager[object]:
            if not is_locked:
                return nullcontext()
            return self.ledger.exclusive(name, wait_s, what=f"Account {address}")

        with closing(Turn(take)) as turn:
            self.chain.fund_if_new(address)
            yield turn
