"""Every error of dcai: one tree, one exit code per class.

::

    DcaiError                  1   failed
    ├── UsageError             2   the command was typed wrong
    ├── PartlyDone             3   some of the work is on-chain, some is not
    ├── NoAccount             10   no account, or not this one
    ├── WrongPassword         11   the key file does not open
    ├── InsufficientFunds     12   the balance does not cover what it takes
    ├── RpcUnreachable        13   no node answers
    ├── Reverted              14   a contract refused
    ├── BadInput              15   a file, row, value or key file is not usable
    ├── LimitExceeded         16   a limit that the user set
    ├── WrongChain            17   another chain, or a contract that is not ours
    ├── Locked                18   another process holds the lock
    └── Interrupted          130   Ctrl-C

The message says what happened, with its values; the hint says what to type next.
"""

from __future__ import annotations


class DcaiError(Exception):
    """Something failed that the user can be told about.

    Args:
        message: what happened, with its values.
        hint: what to do or type next; may be empty.
    """

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DcaiError):
    """The command was typed wrong."""

    exit_code = 2
    code = "usage"


class PartlyDone(DcaiError):
    """Some of the work is on-chain, some is not; the same command again goes on."""

    exit_code = 3
    code = "partly-done"


class NoAccount(DcaiError):
    """There is no account, or not the one that was named."""

    exit_code = 10
    code = "no-account"


class WrongPassword(DcaiError):
    """The password does not open the key file."""

    exit_code = 11
    code = "wrong-password"


class InsufficientFunds(DcaiError):
    """The balance does not cover deposits and fees."""

    exit_code = 12
    code = "insufficient-funds"


class RpcUnreachable(DcaiError):
    """No node answers at the RPC URL."""

    exit_code = 13
    code = "rpc-unreachable"


class Reverted(DcaiError):
    """A contract refused the call.

    Args:
        message: the decoded custom error with its values.
        name: the custom error's name, empty if it could not be decoded.
        values: the custom error's values by parameter name.
    """

    exit_code = 14
    code = "reverted"

    def __init__(
        self, message: str, *, hint: str = "", name: str = "", values: dict[str, object] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.values = values or {}


class BadInput(DcaiError):
    """A file, row, value or key file is not usable."""

    exit_code = 15
    code = "bad-input"


class LimitExceeded(DcaiError):
    """A limit that the user set would be exceeded."""

    exit_code = 16
    code = "limit-exceeded"


class WrongChain(DcaiError):
    """Another chain than the pinned one, or a contract that is not ours."""

    exit_code = 17
    code = "wrong-chain"


class Locked(DcaiError):
    """Another process holds the lock."""

    exit_code = 18
    code = "locked"


class Interrupted(DcaiError):
    """The user pressed Ctrl-C."""

    exit_code = 130
    code = "interrupted"


def and_goes_on(hint: str) -> str:
    """A hint, and what holds for work of many steps that broke off.

    >>> and_goes_on("Ask another node: --rpc-url URL")
    'Ask another node: --rpc-url URL. The same command again goes on where this one stopped.'
    """
    before = f"{hint.removesuffix('.')}. " if hint else ""
    return f"{before}The same command again goes on where this one stopped."


SHOWN_CHARACTERS = 80
"""Of what stands in a file, so much is shown in a message."""


WORD_CHARACTERS = 64
"""So much is shown of a word that somebody else chose."""


def as_word(text: str) -> str:
    r"""A word that somebody else chose, such that it cannot look like anything else: in one line, and cut.

    >>> as_word("reviews"), as_word("a\nb" + chr(27) + "[2J")
    ('reviews', 'a\\nb\\x1b[2J')
    >>> as_word("x" * 3000) == "x" * 64 + "..."
    True
    """
    cut = text if len(text) <= WORD_CHARACTERS else f"{text[:WORD_CHARACTERS]}..."
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


def shown(text: str) -> str:
    """A text as messages show it: in quotes, and cut if it is long.

    >>> shown("a" * 200)[-8:], shown("it")
    ("aaaa'...", "'it'")
    """
    return repr(text) if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]!r}..."
