"""What an engine is: something that calls functions in other processes, and says what came of it.

What a cell is, what is stored and what is tried again is not an engine's business: that is
`gradprobe.studies.scheduling`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from gradprobe.errors import GradprobeError

if TYPE_CHECKING:
    from collections.abc import Callable


class EngineError(GradprobeError):
    """All that computes is gone: nothing can be computed any more, nor asked to stop."""


@dataclass(frozen=True)
class EngineOptions:
    """Where cells are computed, as the command line says it; no value of a table depends on it.

    Attributes
    ----------
    name
        One of `gradprobe.studies.engines.ENGINES`.
    address
        Of a cluster; None for a new one on this machine.
    cpus_per_cell
        What a cell reserves of a cluster; the study's threads per cell if None.
    gpus_per_cell
        Likewise; may be a fraction.

    Examples
    --------
    >>> EngineOptions().name
    'local'
    """

    name: str = "local"
    address: str | None = None
    cpus_per_cell: float | None = None
    gpus_per_cell: float = 0.0


@dataclass(frozen=True)
class Lost:
    """An answer that will never come: the process that was to give it has ended.

    Attributes
    ----------
    cause
        Why, as the rest of a sentence: ``"was ended by SIGKILL"``.
    retries
        How often a cell may be lost like this and be tried again.
    begun
        Whether the process had begun the call; if not, it has ended as soon as it started.

    Examples
    --------
    >>> Lost("was ended by SIGKILL").retries
    1
    """

    cause: str
    retries: int = 1
    begun: bool = True


@dataclass(frozen=True)
class Raised:
    """An error that the function did not expect: a bug.

    Attributes
    ----------
    traceback
        As Python prints it.

    Examples
    --------
    >>> Raised("ZeroDivisionError: division by zero").traceback
    'ZeroDivisionError: division by zero'
    """

    traceback: str


@dataclass(frozen=True)
class Begun:
    """That a call has begun: its process is there, and has imported what it needs.

    Attributes
    ----------
    host, process
        Where.
    at
        When this was heard: `time.monotonic`.

    Examples
    --------
    >>> Begun("node3", 4711, 12.5).process
    4711
    """

    host: str
    process: int
    at: float


class Engine(Protocol):
    """Calls functions in worker processes; a context manager that ends them all at its end.

    Attributes
    ----------
    count
        How many calls are computed at the same time; it may change while a cluster grows.
    """

    @property
    def count(self) -> int:
        """How many calls are computed at the same time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def submit(self, function: Callable[..., Any], place: str, *arguments: Any) -> int:
        """Let a worker call ``function(place, *arguments)``; return a ticket at once.

        Parameters
        ----------
        function
            One of `gradprobe.studies.worker`, which workers can import.
        place
            ``"module:function"`` of what it will call in turn.
        *arguments
            Small values.
        """

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """Return tickets with their answers: what the function returned, `Raised` or `Lost`.

        Parameters
        ----------
        seconds
            How long to wait for the first.
        """

    def begun(self, ticket: int) -> Begun | None:
        """Return where a call is at work; None if it waits for a worker, or has ended.

        Parameters
        ----------
        ticket
            From `submit`.
        """

    def cancel(self, ticket: int) -> None:
        """End a call at once; there will be no answer.

        Parameters
        ----------
        ticket
            From `submit`.
        """

    def ask_to_stop(self) -> None:
        """Ask all calls to write a checkpoint of the training at work, and to give it up."""
