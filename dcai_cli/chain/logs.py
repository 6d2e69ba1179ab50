"""Reading logs: in ranges that the node accepts, and nothing but what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dcai_cli.chain import abi
from dcai_cli.chain.answers import to_event, to_list
from dcai_cli.chain.errors import PrunedLogs, RpcError
from dcai_cli.chain.providers import is_cap, is_pruned, suggested_last
from dcai_cli.chain.records import Event
from dcai_cli.chain.refusals import refusal

if TYPE_CHECKING:
    from dcai_cli.chain.client import Node

Topic: TypeAlias = str | list[str] | None
"""What one topic of a log must be: this, one of these, or anything."""

FIRST_BLOCKS = 2_000
"""What is asked for first: most providers allow it, and it fits into memory if each has an event."""

_MOST_BLOCKS = 1 << 40
_FEW_EVENTS = 250
_MANY_EVENTS = 1_000
_PATIENT = 50


@dataclass(frozen=True, slots=True)
class Query:
    """Which logs are wanted.

    Args:
        address: the contract that emitted them; any if None, and then nobody vouches for their arguments.
        topics: what their topics must be, in lower case; the first is a list of kinds.
        known: the kinds of events by their first topic.
    """

    address: str | None
    topics: tuple[Topic, ...]
    known: Mapping[bytes, abi.Entry]

    def form(self, first: int, last: int) -> dict[str, Any]:
        """The argument of eth_getLogs for a range of blocks."""
        form: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last), "topics": list(self.topics)}
        return form if self.address is None else {**form, "address": self.address}


def make_query(
    events: Mapping[str, abi.Entry], address: str | None, names: Sequence[str], indexed: Mapping[str, object]
) -> Query:
    """Ask for several kinds of events at once.

    Args:
        events: those of the contract, by name.
        address: the contract; any if None.
        names: the kinds that are wanted.
        indexed: values that indexed arguments must have; those that are None do not count.

    Raises:
        TypeError: an argument is not indexed, or not at the same place in all of the kinds.
    """
    entries = [events[name] for name in names]
    topics: list[Topic] = [[f"0x{abi.topic(entry).hex()}" for entry in entries], None, None, None]
    for argument, wanted in indexed.items():
        if wanted is None:
            continue
        found = [_place(entry, argument) for entry in entries]
        places = {place for place, _ in found}
        if len(places) != 1:
            raise TypeError(f"{', '.join(names)} have {argument} at different places")
        place, parameter = found[0]
        topics[place] = f"0x{abi.encode([parameter], [wanted]).hex()}"
    while topics[-1] is None:
        topics.pop()
    return Query(address, tuple(topics), {abi.topic(entry): entry for entry in entries})


def _place(entry: abi.Entry, argument: str) -> tuple[int, abi.Entry]:
    indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
    for place, parameter in enumerate(indexed, 1):
        if parameter["name"] == argument:
            return place, parameter
    raise TypeError(f"{entry['name']} has no indexed argument {argument}")


class Span:
    """How many blocks to ask for at once: what worked is remembered, and more is tried carefully.

    >>> span = Span()
    >>> span.capped(2_000)
    >>> span.worked(1_000, 0)
    >>> span.worked(1_000, 0)
    >>> span.blocks
    1500
    """

    def __init__(self) -> None:
        self.blocks = FIRST_BLOCKS
        self._good = 0
        self._refused: int | None = None
        self._streak = 0

    def worked(self, blocks: int, events: int) -> None:
        """A range of so many blocks was answered with so many events."""
        if events > _MANY_EVENTS:
            # Not refused, but heavy: memory and the cost of starting anew grow with it.
            self.blocks = max(min(self.blocks, blocks) // 2, 1)
            return
        if blocks < self.blocks:
            return
        self._good = blocks
        self._streak += 1
        if events > _FEW_EVENTS:
            return
        if self._refused is None:
            self.blocks = min(blocks * 2, _MOST_BLOCKS)
        elif self._refused - blocks > max(blocks // 4, 1) and self._streak >= 2:
            self.blocks = (blocks + self._refused) // 2
        elif self._streak >= _PATIENT:
            self._refused, self._streak = None, 0

    def capped(self, blocks: int, suggested: int | None = None) -> None:
        """A range of so many blocks was refused; perhaps the node said how many would do."""
        self._refused = blocks
        self._streak = 0
        if suggested is not None:
            self.blocks = suggested
        elif 0 < self._good < blocks:
            self.blocks, self._good = self._good, 0
        else:
            self.blocks, self._good = max(blocks // 2, 1), 0


class LogReader:
    """Reads the logs of one chain.

    Args:
        node: answers the requests.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._span = Span()

    def read(self, query: Query, first: int, last: int) -> Iterator[tuple[int, list[Event]]]:
        """The events in a range of blocks, part by part.

        Yields:
            The last block of a part, and its events in their order.

        Raises:
            PrunedLogs: the node does not have these blocks any more.
            RpcError: the node refuses, or answers what was not asked for.
        """
        while first <= last:
            end = min(last, first + self._span.blocks - 1)
            blocks = end - first + 1
            answer = self._ask(query, first, end)
            if isinstance(answer, RpcError):
                if blocks == 1 or not is_cap(answer) or is_pruned(answer):
                    raise self._refusal(answer, first, end)
                suggested = suggested_last(answer, first, end)
                self._span.capped(blocks, None if suggested is None else suggested - first + 1)
                continue
            events = self._checked(query, answer, first, end)
            self._span.worked(blocks, len(events))
            yield end, events
            first = end + 1

    def _ask(self, query: Query, first: int, last: int) -> list[Any] | RpcError:
        try:
            answer = self._node.request("eth_getLogs", query.form(first, last))
        except RpcError as error:
            return error
        return to_list(answer)

    def _refusal(self, error: RpcError, first: int, last: int) -> Exception:
        if not is_pruned(error):
            return refusal(error, self._node.label)
        return PrunedLogs(
            f"The node at {self._node.label} does not have the logs of blocks {first:,} to {last:,}: "
            f"{error.message}",
            hint="Give --rpc-url the URL of an archive node, or of another provider.",
            rpc_code=error.rpc_code,
        )

    def _checked(self, query: Query, logs: Sequence[dict[str, Any]], first: int, last: int) -> list[Event]:
        """Decode logs; one that was not asked for is refused, since money is counted by them."""
        found: dict[tuple[int, int], Event] = {}
        hashes: dict[int, str] = {}
        for log in logs:
            if log.get("removed"):
                continue
            event = to_event(log, query.known, trusted=query.address is not None)
            if event is None or not _fits(query, log, event) or not first <= event.block_number <= last:
                raise self._misfit("a log that was not asked for")
            if hashes.setdefault(event.block_number, event.block_hash) != event.block_hash:
                raise self._misfit(f"two blocks {event.block_number:,}")
            key = (event.block_number, event.log_index)
            if found.setdefault(key, event) != event:
                raise self._misfit(f"two logs {event.log_index} of block {event.block_number:,}")
        return [found[key] for key in sorted(found)]

    def _misfit(self, what: str) -> RpcError:
        return RpcError(
            f"The answer of the node at {self._node.label} does not fit the question: it has {what}.",
            hint="Give --rpc-url the URL of another node.",
        )


def _fits(query: Query, log: Mapping[str, Any], event: Event) -> bool:
    if query.address is not None and event.address.lower() != query.address.lower():
        return False
    topics = [str(topic).lower() for topic in log["topics"]]
    return len(topics) >= len(query.topics) and all(
        wanted is None or (topic in wanted if isinstance(wanted, list) else topic == wanted)
        for wanted, topic in zip(query.topics, topics, strict=False)
    )
