"""A pool of worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from gradprobe.studies import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def usable_cores() -> int:
    """Return how many cores this process may use.

    Examples
    --------
    >>> usable_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Processes that compute, each in a fresh interpreter; a context manager.

    They end when the pool is closed, and when this process dies, even by ``kill -9``: they hold the
    reading end of a pipe whose writing end is here.  By a second pipe, trainings are asked to stop.

    Parameters
    ----------
    count
        How many processes.
    threads
        Threads of linear algebra in each.

    Examples
    --------
    >>> with Workers(1, threads=1) as workers:
    ...     workers.submit(worker.call, "math:sqrt", 4.0).result()
    2.0
    """

    def __init__(self, count: int, threads: int) -> None:
        self.count = count
        self._threads = threads
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        """Call `function` in a worker process.

        Parameters
        ----------
        function
            A function at the top of a module.
        *arguments, **options
            Small values.

        Raises
        ------
        concurrent.futures.process.BrokenProcessPool
            A worker process has died; `restart` helps.
        """
        with _interrupt_held_back():
            return self._executor.submit(function, *arguments, **options)

    def ask_to_stop(self) -> None:
        """Ask all workers to write a checkpoint of the training at work, and to give it up."""
        self._request.close()

    def stop(self) -> None:
        """End all workers at once, whatever they are doing."""
        self._lifeline.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._request.close()
        for reader in self._readers:
            reader.close()

    def restart(self) -> None:
        """Replace all workers by new ones."""
        self.stop()
        self._open()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        ended, self._lifeline = context.Pipe(duplex=False)
        stopped, self._request = context.Pipe(duplex=False)
        self._readers = (ended, stopped)
        self._executor = ProcessPoolExecutor(
            self.count,
            mp_context=context,
            initializer=worker.start,
            initargs=(self._threads, *self._readers),
        )


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Let processes that are started meanwhile inherit a blocked SIGINT; ours comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
