"""What runs inside a worker process of the local engine.

Imports nothing heavy at module level: the number of threads must be set before NumPy and torch are
imported.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from gradprobe.errors import GradprobeError
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    import pandas as pd

    from gradprobe.studies.outcome import Computed

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GRACE_SECONDS = 15.0
"""How long a training may take to write its checkpoint when it is asked to stop."""
SECONDS_TO_ANSWER = 0.5

STOPPING = threading.Event()
"""Whether this process was asked to stop; a pool's process has no other place for it."""
TRAINING = threading.Event()
"""Whether this process is computing a cell that heeds `STOPPING`."""


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
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    for pipe, consequence in ((lifeline, _end), (request, STOPPING.set)):
        threading.Thread(target=_when_closed, args=(pipe, consequence), daemon=True).start()


def _when_closed(pipe: Connection, consequence: Any) -> None:
    with suppress(EOFError, OSError):
        pipe.recv_bytes()
    consequence()


def _end() -> None:
    os._exit(1)


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


def work(place: str, specification: dict[str, Any], checkpoint: Path) -> Outcome:
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
    """
    started, clock = _now(), time.perf_counter()
    parquet, error, seconds = None, None, None
    try:
        computed = _compute(place, specification, Workplace(checkpoint, STOPPING.is_set))
        if computed is not None:
            parquet, seconds = _encode(computed.table), computed.seconds
    except GradprobeError as refusal:
        error = str(refusal)
    except Exception:  # a bug, kept with its traceback
        error = traceback.format_exc()
    return Outcome(
        started, _now(), time.perf_counter() - clock if seconds is None else seconds, parquet, error
    )


def _compute(place: str, specification: dict[str, Any], workplace: Workplace) -> Computed | None:
    if specification.get("training") is not None:
        TRAINING.set()
    try:
        computed: Computed | None = resolve_name(place)(specification, workplace)
        return computed
    finally:
        TRAINING.clear()


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
