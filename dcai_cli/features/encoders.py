"""Encoders: plug-ins that make vectors of texts, found by the name that a spec gives (docs/encoders.md).

A spec never brings code. It names an encoder and its version, and whoever reads it needs that encoder
installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, Self

from dcai_cli.domain import MAX_SAMPLE_WORDS
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.features.dense import MIN_LENGTH, NamedEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUP = "dcai.encoders"
"""The group of entry points in which packages announce encoders."""

MAX_LENGTH = MAX_SAMPLE_WORDS
"""Numbers of a vector at most."""

_HINT = "Install the package that has it; see docs/encoders.md."


class Encoder(Protocol):
    """What a plug-in is: an entry point names something that, called without arguments, gives this."""

    @property
    def dimension(self) -> int:
        """Numbers in each vector, 2 to 4,096."""

    @property
    def version(self) -> str:
        """Another string whenever other vectors come out: of other weights, or of another rule."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Make vectors of texts.

        Args:
            texts: one or more texts, none of them blank.

        Returns:
            A row for each text, in order: float32 or float64, shape (texts, dimension). A row must not depend
            on the other texts, but for rounding errors far below 1 / scale.
        """


class LoadedEncoder:
    """An encoder that was found, loaded, and is checked whenever it answers.

    Args:
        name: its name.
        package: the package that it is part of.
        encoder: the plug-in.

    Raises:
        DcaiError: it has no proper dimension or version.
    """

    def __init__(self, name: str, package: str, encoder: Encoder) -> None:
        self.name = name
        self._package = package
        self._encoder = encoder
        with _Watched(self._who) as watched:
            dimension, version = encoder.dimension, encoder.version
            if type(dimension) is not int or not MIN_LENGTH <= dimension <= MAX_LENGTH:
                watched.refuse(f"its dimension is {dimension!r}, and not {MIN_LENGTH} to {MAX_LENGTH:,}")
            if not isinstance(version, str) or not version:
                watched.refuse(f"its version is {version!r}, and no string")
        self.dimension = dimension
        self.version = version

    @property
    def _who(self) -> str:
        return f"Encoder {self.name!r} of the package {self._package}"

    def named(self, text_column: str) -> NamedEncoder:
        """How a spec names it."""
        return NamedEncoder(self.name, self.version, text_column)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Make vectors of texts, as doubles of shape (texts, dimension).

        Raises:
            DcaiError: it fails, or gives something else.
        """
        import numpy as np

        expected = (len(texts), self.dimension)
        with _Watched(self._who) as watched:
            vectors = np.asarray(self._encoder.encode(texts))
            if vectors.shape != expected or vectors.dtype.kind != "f":
                watched.refuse(
                    f"it gave {vectors.dtype} of shape {vectors.shape} and not float32 of shape {expected}"
                )
            return vectors.astype(np.float64)


class _Watched:
    """Turns whatever a plug-in raises into one error that says whose fault it is.

    Args:
        who: what messages call the plug-in.
    """

    def __init__(self, who: str) -> None:
        self._who = who

    def refuse(self, problem: str) -> None:
        """Say what is wrong with an answer."""
        raise DcaiError(
            f"{self._who} cannot be used: {problem}.", hint="Update the package, or tell its authors."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, DcaiError | KeyboardInterrupt | GeneratorExit):
            self.refuse(f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}")


def installed() -> list[str]:
    """The names of all encoders that can be found here, in order."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load_encoder(name: str) -> LoadedEncoder:
    """Find an encoder by its name, and load it.

    Raises:
        UsageError: there is none of this name, or several packages have one.
        DcaiError: it cannot be loaded.
    """
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        names = ", ".join(installed()) or "none"
        raise UsageError(f"There is no encoder {name!r} here; installed: {names}.", hint=_HINT)
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found.values())))
        raise UsageError(f"Several packages have an encoder {name!r}: {packages}.", hint="Remove one.")
    (entry,) = found.values()
    who = f"Encoder {name!r} of the package {_package(entry)}"
    with _Watched(who):
        try:
            make = entry.load()
        except ImportError as error:
            raise DcaiError(f"{who} cannot be used: {error}.", hint=_install(entry, error)) from error
        encoder = make()
    return LoadedEncoder(name, _package(entry), encoder)


def load_named(named: NamedEncoder, dimension: int) -> LoadedEncoder:
    """Load the encoder that a spec names.

    Args:
        named: the encoder.
        dimension: the length of the model's vectors.

    Raises:
        UsageError: there is none of this name.
        BadInput: the one that is here makes other vectors.
        DcaiError: it cannot be loaded.
    """
    encoder = load_encoder(named.name)
    for what, here, wanted in (
        ("version", encoder.version, named.version),
        ("dimension", encoder.dimension, dimension),
    ):
        if here != wanted:
            raise BadInput(
                f"The model takes vectors of encoder {named.name!r} of {what} {wanted!r}; the one that is "
                f"installed has {here!r}.",
                hint="Install what the model's owner used, weights included; or give vectors made by it.",
            )
    return encoder


def _install(entry: EntryPoint, error: ImportError) -> str:
    """How to install what an encoder is lacking: an extra of its package, if it names one."""
    if entry.extras:
        return f"pip install '{_package(entry)}[{','.join(entry.extras)}]'"
    return f"Install {error.name or 'what it needs'}, or install {_package(entry)} anew."


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
