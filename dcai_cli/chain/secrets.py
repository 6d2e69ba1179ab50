"""What must not be shown of a URL and of headers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

_SHORT = 6
"""Shorter parts of a URL, such as `v3`, are no keys."""


def hider(url: str, headers: Mapping[str, str]) -> Callable[[str], str]:
    """A function that takes out of a text what only the node may know: providers repeat keys in their errors.

    Args:
        url: the node's; user, password, parts of the path and values of the query are hidden.
        headers: their values are hidden.

    >>> hider("https://node.example/v3/abcdef123456", {})("no project abcdef123456 here, v3")
    'no project *** here, v3'
    """
    parts = urlsplit(url)
    found = [parts.username or "", parts.password or "", parts.fragment, *parts.path.split("/")]
    found += [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
    for value in headers.values():
        found += [value, *value.split()]
    secrets = {text for part in found for text in (part, unquote(part)) if len(text) >= _SHORT}
    if not secrets:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, sorted(secrets, key=len, reverse=True))))
    return lambda text: pattern.sub("***", text)


def silence(*names: str) -> None:
    """Let libraries log nothing: their lines hold paths and queries of URLs.

    Args:
        names: of their loggers.
    """
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
