"""What runs inside a worker process, of whichever engine.

Imports nothing heavy at module level: the number of threads must be set before NumPy and torch are
imported.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from gradprobe.errors import GradprobeError
from gradprobe.models.importing import importable
from gradprobe.studies.engines.base import Begun, Raised
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    import pandas as pd

    from gradprobe.models.cell_files import CellFile
    from gradprobe.studies.outcome import Computed, Rehearsal

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GRACE_SECONDS = 15.0
"""How long a training may take to write its checkpoint when it is asked to stop."""
SECONDS_TO_ANSWER = 0.5
"""How long a process lives on when its training has ended, to send what came of it."""
TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM has ended."""

STOPPING = threading.Event()
"""Whether this process was asked to stop; a pool's process has no other place for it."""
TRAINING = threading.Event()
"""Whether this process is computing a cell that heeds `STOPPING`."""


def serve(calls: Connection, threads: int, lifeline: Connection, request: Connection) -> None:
    """Answer calls, one after the other, until the connection is closed.

    Parameters
    ----------
    calls
        Where ``(function, place, *arguments)`` come from, and the answers go to.
    threads, lifeline, request
        As of `start`.
    """
    start(threads, lifeline, request)
    with suppress(EOFError):
        while True:
            function, place, *arguments = calls.recv()
            calls.send(answer(lambda: calls.send(here()), function, place, *arguments))


def here() -> Begun:
    """Return which process this is.

    Examples
    --------
    >>> here().process == os.getpid()
    True
    """
    return Begun(socket.gethostname(), os.getpid(), time.monotonic())


def answer(
    begin: Callable[[], None], function: Callable[..., Any], place: str, *arguments: Any
) -> Any:
    """Return what ``function(place, *arguments)`` returns, or `Raised`.

    Parameters
    ----------
    begin
        Called when `place` is imported, which takes seconds in a fresh process.
    function, place, *arguments
        As of `gradprobe.studies.engines.base.Engine.submit`.

    Examples
    --------
    >>> answer(lambda: None, call, "math:sqrt", 9.0)
    3.0
    """
    try:
        resolve_name(place)
        begin()
        return function(place, *arguments)
    except Exception:  # a bug, told with its traceback to whoever asked
        return Raised(traceback.format_exc())


def start(threads: int, lifeline: Connection, request: Connection) -> None:
    """Prepare a fresh worker process.

    Parameters
    ----------
    threads
        How many threads its linear algebra may use.
    lifeline
        The reading end of a pipe whose writing end only the main process has.  When that is closed,
        on purpose or because the main process died in whatever way, this process ends at once.
    request
        The reading end of another such pipe.  When that is closed, a training writes a checkpoint
        and stops.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process decides
    signal.signal(signal.SIGTERM, _leave)
    limit_threads(threads)
    for pipe, consequence in ((lifeline, _orphaned), (request, STOPPING.set)):
        threading.Thread(target=_when_closed, args=(pipe, consequence), daemon=True).start()


def limit_threads(threads: int) -> None:
    """Set how many threads NumPy and torch will use; they must not have been imported yet.

    Parameters
    ----------
    threads
        Of each library.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def _when_closed(pipe: Connection, consequence: Any) -> None:
    with suppress(EOFError, OSError):
        pipe.recv_bytes()
    consequence()


def _orphaned() -> None:
    os._exit(1)


def _end() -> None:
    os._exit(TERMINATED)


def _leave(number: int, frame: object) -> None:
    """End because of a signal: at once, or when the training at work has written a checkpoint."""
    if not TRAINING.is_set():
        _end()
    STOPPING.set()
    threading.Thread(target=_end_after_training, daemon=True).start()


def _end_after_training() -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    while TRAINING.is_set() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(SECONDS_TO_ANSWER)
    _end()


def work(
    place: str, specification: dict[str, Any], checkpoint: Path, begins_anew: bool = False
) -> Outcome:
    """Compute one cell; an error becomes part of the outcome, so that other cells go on.

    Parameters
    ----------
    place
        ``"module:function"`` of a function from a specification and a `Workplace` to what was
        `Computed`, or None if it was asked to stop.
    specification
        The cell's.
    checkpoint
        Where a training is saved.
    begins_anew
        As of `gradprobe.studies.workplace.Workplace`.
    """
    started, clock = _now(), time.perf_counter()
    table, error, seconds = None, None, None
    try:
        workplace = Workplace(checkpoint, STOPPING.is_set, begins_anew)
        computed = _compute(place, specification, workplace)
        if computed is not None:
            table, seconds = _encode(computed.table), computed.seconds
    except GradprobeError as refusal:
        error = str(refusal)
    except Exception:  # a bug, kept with its traceback
        error = traceback.format_exc()
    return Outcome(
        started, _now(), time.perf_counter() - clock if seconds is None else seconds, table, error
    )


def _compute(place: str, specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    if specification.get("training") is not None:
        TRAINING.set()
    try:
        computed: Computed | None = resolve_name(place)(specification, workplace)
        return computed
    finally:
        TRAINING.clear()


def rehearse(place: str, specification: dict[str, Any], with_probes: bool) -> Rehearsal:
    """Return what building a cell's model says.

    Parameters
    ----------
    place
        ``"module:function"`` of a function like `gradprobe.studies.cell.rehearse`.
    specification, with_probes
        What it is given.
    """
    found: Rehearsal = resolve_name(place)(specification, with_probes=with_probes)
    return found


def supplied(
    place: str, function: Callable[..., Any], files: tuple[CellFile, ...], *arguments: Any
) -> Any:
    """Return ``function(place, *arguments)``, which may import a user's own cells meanwhile.

    Each call imports them anew, so that nothing that they keep reaches the next cell.

    Parameters
    ----------
    place, function, *arguments
        As of `gradprobe.studies.engines.base.Engine.submit`.
    files
        Whose text came with the call: what is run is what was hashed, on whatever machine.

    Examples
    --------
    >>> supplied("math:sqrt", call, (), 9.0)
    3.0
    """
    with importable(files):
        return function(place, *arguments)


def call(place: str, *arguments: Any, **options: Any) -> Any:
    """Import the function at `place`, ``"module:function"``, and call it.

    Examples
    --------
    >>> call("math:sqrt", 4.0)
    2.0
    """
    return resolve_name(place)(*arguments, **options)


def _encode(table: pd.DataFrame) -> bytes:
    from gradprobe.studies.tables import encode_table  # noqa: PLC0415 - after the threads are set

    return encode_table(table)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
