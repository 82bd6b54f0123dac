"""Engines: where the cells of a study are computed.  A new one is a file here, and a line below."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.studies.engines.base import Engine, EngineOptions

ENGINES = {
    "local": "gradprobe.studies.engines.local:open_engine",
    "ray": "gradprobe.studies.engines.ray:open_engine",
}
"""Functions of the same arguments as `open_engine`, by name."""


def nobody_interrupts() -> None:
    """Let an engine start undisturbed."""


def open_engine(
    options: EngineOptions,
    workers: int | None,
    threads: int,
    check: Callable[[], None] = nobody_interrupts,
) -> Engine:
    """Return the engine that `options` name.

    Parameters
    ----------
    options
        Its name, and where its cluster is.
    workers
        How many calls at the same time; as many as there is room for if None.
    threads
        Threads of linear algebra in each.
    check
        Called now and then while a cluster starts, which takes seconds; what it raises ends that.

    Raises
    ------
    ArgumentError
        There is no engine of that name.

    Examples
    --------
    >>> from gradprobe.studies.engines.base import EngineOptions
    >>> open_engine(EngineOptions("slurm"), None, 1)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: engine must be one of local, ray; got 'slurm'
    """
    if options.name not in ENGINES:
        raise ArgumentError(f"engine must be one of {', '.join(ENGINES)}; got {options.name!r}")
    engine: Engine = resolve_name(ENGINES[options.name])(options, workers, threads, check)
    return engine
