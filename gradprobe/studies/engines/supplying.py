"""Any engine, whose workers are given the files of a user's own cells with every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from gradprobe.studies import worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.models.cell_files import CellFile
    from gradprobe.studies.engines.base import Engine


def supplying(engine: Engine, files: tuple[CellFile, ...]) -> Engine:
    """Return an engine in whose calls the modules of `files` can be imported.

    Parameters
    ----------
    engine
        Where the calls are computed.
    files
        As they were read: no worker reads them again.  For none, `engine` itself is returned.

    Examples
    --------
    >>> from gradprobe.studies.engines.local import LocalEngine
    >>> engine = LocalEngine(1, threads=1)
    >>> with supplying(engine, ()) as same:
    ...     same is engine
    True
    """
    return _SupplyingEngine(engine, files) if files else engine


class _SupplyingEngine:
    """An engine's own methods, but for what it is given to call."""

    def __init__(self, engine: Engine, files: tuple[CellFile, ...]) -> None:
        self._engine = engine
        self._files = files
        self.wait = engine.wait
        self.begun = engine.begun
        self.cancel = engine.cancel
        self.ask_to_stop = engine.ask_to_stop

    @property
    def count(self) -> int:
        return self._engine.count

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._engine.__exit__(*exception)

    def submit(self, function: Callable[..., Any], place: str, *arguments: Any) -> int:
        return self._engine.submit(worker.supplied, place, function, self._files, *arguments)
