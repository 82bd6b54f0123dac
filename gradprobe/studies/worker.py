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

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import pandas as pd

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def start(threads: int, lifeline: Connection) -> None:
    """Prepare a fresh worker process.

    Parameters
    ----------
    threads
        How many threads its linear algebra may use.
    lifeline
        The reading end of a pipe whose writing end only the main process has.  When that is closed,
        on purpose or because the main process died in whatever way, this process ends at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process decides
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def work(place: str, specification: dict[str, Any]) -> Outcome:
    """Compute one cell; an error becomes part of the outcome, so that other cells go on.

    Parameters
    ----------
    place
        ``"module:function"`` of a function from a specification to a table.
    specification
        The cell's.
    """
    started, clock = _now(), time.perf_counter()
    parquet, error = None, None
    try:
        parquet = _encode(resolve_name(place)(specification))
    except GradprobeError as refusal:
        error = str(refusal)
    except Exception:  # a bug, kept with its traceback
        error = traceback.format_exc()
    return Outcome(started, _now(), time.perf_counter() - clock, parquet, error)


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
