"""The local engine: a fixed number of worker processes on this machine, each with one call."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import connection, resource_tracker
from typing import TYPE_CHECKING, Any, Self

from gradprobe.studies import worker
from gradprobe.studies.engines.base import Begun, Lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnContext

    from gradprobe.studies.engines.base import EngineOptions

HINTS = {
    "SIGKILL": " (when nobody sent it, the machine ran out of memory)",
    "SIGSEGV": " (a fault in compiled code)",
    "SIGABRT": " (a fault that compiled code noticed)",
    "SIGBUS": " (a fault in compiled code, or no room in shared memory)",
}
SECONDS_TO_END = 30.0
"""How long a process that was killed may take to be gone: long, on a machine that swaps."""


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


def open_engine(
    options: EngineOptions, workers: int | None, threads: int, check: Callable[[], None]
) -> LocalEngine:
    """Return a local engine with `workers` processes, or one for each `threads` usable cores.

    Parameters
    ----------
    options
        Name nothing that this engine needs.
    workers, threads, check
        As of `gradprobe.studies.engines.open_engine`.

    Examples
    --------
    >>> from gradprobe.studies.engines.base import EngineOptions
    >>> with open_engine(EngineOptions(), 3, 1, lambda: None) as engine:
    ...     engine.count
    3
    """
    return LocalEngine(max(1, usable_cores() // threads) if workers is None else workers, threads)


class LocalEngine:
    """Processes that compute, each in a fresh interpreter, started when they are needed.

    They end when the engine is closed, and when this process dies, even by ``kill -9``: they hold
    the reading end of a pipe whose writing end is here.  By a second pipe, trainings are asked to
    stop.  A process that dies takes its own call with it and no other, and is replaced.

    Parameters
    ----------
    count
        How many processes.
    threads
        Threads of linear algebra in each.

    Examples
    --------
    >>> with LocalEngine(1, threads=1) as engine:
    ...     ticket = engine.submit(worker.call, "math:sqrt", 4.0)
    ...     while not (answers := engine.wait(1.0)):
    ...         pass
    >>> answers == [(ticket, 2.0)]
    True
    """

    def __init__(self, count: int, threads: int) -> None:
        self.count = count
        self._threads = threads
        self._context = multiprocessing.get_context("spawn")
        ended, self._lifeline = self._context.Pipe(duplex=False)
        stopped, self._request = self._context.Pipe(duplex=False)
        self._readers = (ended, stopped)
        self._workers: list[_Worker] = []
        self._queue: deque[tuple[int, tuple[Any, ...]]] = deque()
        self._submitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lifeline.close()
        self._request.close()
        for one in self._workers:
            one.end()
        for reader in self._readers:
            reader.close()

    def submit(self, function: Callable[..., Any], place: str, *arguments: Any) -> int:
        """Let a worker call ``function(place, *arguments)``, as soon as one is idle."""
        self._submitted += 1
        self._queue.append((self._submitted, (function, place, *arguments)))
        self._assign()
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """Return tickets with their answers; wait for the first, or for any sign of life."""
        self._assign()
        busy = {one.connection: one for one in self._workers if one.ticket is not None}
        answers = []
        for ready in connection.wait(list(busy), timeout=seconds):
            one = busy[ready]  # type: ignore[index]  # only our own connections are ready
            ticket, answer = one.ticket, one.receive()
            if isinstance(answer, Lost):
                self._workers.remove(one)
            if not isinstance(answer, Begun) and ticket is not None:
                answers.append((ticket, answer))
        return answers

    def begun(self, ticket: int) -> Begun | None:
        """Return which process computes a call."""
        return next((one.begun for one in self._workers if one.ticket == ticket), None)

    def cancel(self, ticket: int) -> None:
        """Kill the process that computes a call."""
        for one in [one for one in self._workers if one.ticket == ticket]:
            one.end()
            self._workers.remove(one)
        self._queue = deque(entry for entry in self._queue if entry[0] != ticket)

    def ask_to_stop(self) -> None:
        """Ask all workers to write a checkpoint of the training at work, and to give it up."""
        self._request.close()

    def _assign(self) -> None:
        """Give waiting calls to idle workers, and start those that are missing."""
        while self._queue:
            one = self._idle_worker()
            if one is None:
                return
            ticket, call = self._queue[0]
            if one.give(ticket, call):
                self._queue.popleft()
            else:
                self._workers.remove(one)

    def _idle_worker(self) -> _Worker | None:
        for one in self._workers:
            if one.ticket is None:
                return one
        if len(self._workers) >= self.count:
            return None
        with _interrupt_held_back():
            self._workers.append(_Worker(self._context, self._threads, self._readers))
        return self._workers[-1]


class _Worker:
    """A process, and what it is computing."""

    def __init__(self, context: SpawnContext, threads: int, readers: tuple[Any, Any]) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.serve, args=(theirs, threads, *readers), daemon=False
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        self.ticket: int | None = None
        self.begun: Begun | None = None

    def give(self, ticket: int, call: tuple[Any, ...]) -> bool:
        """Let the process begin; return False if it has died while it was idle."""
        try:
            self.connection.send(call)
        except (BrokenPipeError, ConnectionResetError):
            self.end()
            return False
        self.ticket = ticket
        return True

    def receive(self) -> Any:
        """Return that the call has begun, its answer, or that it is lost."""
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            begun = self.begun is not None
            return Lost(f"its worker process {self._how_it_ended()}", begun=begun)
        if isinstance(message, Begun):
            self.begun = replace(message, at=time.monotonic())
            return message
        self.ticket = self.begun = None
        return message

    def end(self) -> None:
        """Kill the process, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.join(SECONDS_TO_END)
        self.connection.close()

    def _how_it_ended(self) -> str:
        self._process.join(SECONDS_TO_END)
        code = self._process.exitcode
        self.end()
        return how_a_process_ended(code)


def how_a_process_ended(code: int | None) -> str:
    """Return why a process is gone, as the rest of a sentence.

    Parameters
    ----------
    code
        `multiprocessing.Process.exitcode`; negative for a signal.

    Examples
    --------
    >>> how_a_process_ended(-11)
    'was ended by SIGSEGV (a fault in compiled code)'
    >>> how_a_process_ended(3)
    'ended with exit code 3'
    """
    if code is None:
        return "no longer answers"
    if code == worker.TERMINATED:
        code = -signal.SIGTERM
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"was ended by {name}{HINTS.get(name, '')}"


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Let processes that are started meanwhile inherit a blocked SIGINT; ours comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it lets SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
