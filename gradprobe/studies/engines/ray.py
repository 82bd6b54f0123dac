"""The Ray engine: cells as tasks of a cluster.

The driver alone writes the store.  Checkpoints lie in the results' folder, which all machines must
share; gradprobe must be installed on all of them.  A task is tried again by the scheduler, not by
Ray, so that every engine counts alike.  Ray's usage reporting is switched off in what is started
here; a cluster that somebody else has started reports as its owner has decided.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from gradprobe.errors import ArgumentError, GradprobeError
from gradprobe.studies import worker
from gradprobe.studies.engines.base import EngineError, Lost, Raised
from gradprobe.studies.engines.ray_cluster import OwnCluster
from gradprobe.studies.progress import last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradprobe.studies.engines.base import Begun, EngineOptions

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray reports nothing to anybody, and warns of nothing that does not concern us."""
AUTHENTICATED = ("RAY_AUTH_MODE", "token")
"""A cluster of our own lets nobody in without a token, which Ray makes and keeps by itself."""
SECONDS_BETWEEN_NEWS = 1.0
RETRIES_OF_A_NODE = 3
"""How often a cell may lose its machine: that is hardly the cell's fault."""
AT_ONCE = 10_000
"""How many worker processes may listen to the board."""

HEEDED: list[str] = []
"""The run whose board this worker process listens to; it is one of Ray's, with no place for it."""


def open_engine(
    options: EngineOptions, workers: int | None, threads: int, check: Callable[[], None]
) -> RayEngine:
    """Return an engine on the cluster that `options` name, or on a new one on this machine.

    Parameters
    ----------
    options
        The cluster's address, and what a cell reserves.
    workers, threads, check
        As of `gradprobe.studies.engines.open_engine`.

    Raises
    ------
    GradprobeError
        Ray is not installed, or there is no such cluster, or it does not start.
    ArgumentError
        None of its machines has room for a cell.
    """
    return RayEngine(options, workers, threads, check)


class RayEngine:
    """Tasks of a Ray cluster; a context manager that leaves the cluster as it was.

    Parameters
    ----------
    options, workers, threads, check
        As of `open_engine`.
    """

    def __init__(
        self,
        options: EngineOptions,
        workers: int | None,
        threads: int,
        check: Callable[[], None],
    ) -> None:
        self._run = uuid.uuid4().hex
        self._threads = threads
        cpus = float(threads) if options.cpus_per_cell is None else options.cpus_per_cell
        self._needs = {"CPU": cpus, "GPU": options.gpus_per_cell}
        self._workers = workers
        self._tickets: dict[Any, int] = {}
        self._begun: dict[int, Begun] = {}
        self._submitted = 0
        self._heard = 0.0
        with ExitStack() as stack:
            self._ray = _connected(options.address, check, stack)
            self._check_room()
            self._board = _board_beside_the_driver(self._ray)
            self._task = self._ray.remote(
                num_cpus=cpus, num_gpus=options.gpus_per_cell, max_retries=0
            )(_answer)
            self.count = self._room()
            self._connection = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._connection, suppress(*_gone(self._ray)):
            for reference in self._tickets:
                self._ray.cancel(reference, force=True)
            self._ray.kill(self._board)

    def submit(self, function: Callable[..., Any], place: str, *arguments: Any) -> int:
        """Let a task call ``function(place, *arguments)``, as soon as the cluster has room."""
        self._submitted += 1
        reference = self._task.remote(
            self._run, self._board, self._submitted, self._threads, function, place, *arguments
        )
        self._tickets[reference] = self._submitted
        return self._submitted

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """Return tickets with their answers; wait for the first."""
        references = list(self._tickets)
        if not references:
            time.sleep(seconds)
            return []
        try:
            done, _ = self._ray.wait(references, timeout=seconds)
            if done:
                done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            self._hear_news()
        except _gone(self._ray) as error:
            raise EngineError(
                "the Ray cluster no longer answers; finished cells are stored, and the same "
                f"command goes on with the others ({last_line(str(error))})"
            ) from error
        answers = [(self._tickets.pop(reference), self._answer(reference)) for reference in done]
        for ticket, _ in answers:
            self._begun.pop(ticket, None)
        return answers

    def begun(self, ticket: int) -> Begun | None:
        """Return which process of which machine computes a call, as of a second ago."""
        return self._begun.get(ticket)

    def cancel(self, ticket: int) -> None:
        """Kill the process that computes a call."""
        for reference, submitted in list(self._tickets.items()):
            if submitted == ticket:
                self._ray.cancel(reference, force=True)
                del self._tickets[reference]
                self._begun.pop(ticket, None)

    def ask_to_stop(self) -> None:
        """Ask all tasks to write a checkpoint of the training at work, and to give it up."""
        self._board.ask_to_stop.remote()

    def _answer(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except (
            errors.NodeDiedError,
            errors.LocalRayletDiedError,
            errors.ObjectLostError,
            errors.OwnerDiedError,
        ):
            return Lost("its machine left the cluster", RETRIES_OF_A_NODE)
        except errors.OutOfMemoryError:
            return Lost("its worker process was ended because its machine ran out of memory")
        except errors.WorkerCrashedError:
            return Lost("its worker process died (by a signal, or a fault in compiled code)")
        except errors.RayError as error:
            return Raised(str(error))

    def _hear_news(self) -> None:
        """Ask the board which calls have begun, and the cluster how much room there is."""
        now = time.monotonic()
        if now - self._heard < SECONDS_BETWEEN_NEWS:
            return
        self._heard = now
        open_tickets = set(self._tickets.values())
        for ticket, begun in self._ray.get(self._board.news.remote()).items():
            if ticket in open_tickets:
                self._begun[ticket] = replace(begun, at=time.monotonic())
        self.count = self._room()

    def _room(self) -> int:
        """Return how many calls the cluster has room for at present, at least one."""
        if self._workers is not None:
            return self._workers
        total = self._ray.cluster_resources()
        places = [total.get(name, 0.0) // need for name, need in self._needs.items() if need]
        return max(1, int(min(places, default=total.get("CPU", 1.0))))

    def _check_room(self) -> None:
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for machine in machines:
            if all(machine.get(name, 0.0) >= need for name, need in self._needs.items()):
                return
        needs = " and ".join(f"{need:g} {name}" for name, need in self._needs.items() if need)
        raise ArgumentError(f"no machine of the Ray cluster has room for a cell: it needs {needs}")


class Board:
    """An actor of the cluster: tasks say here that they have begun, and hear whether to stop.

    Examples
    --------
    >>> board = Board()
    >>> asyncio.run(board.begin(3, worker.here()))
    >>> list(asyncio.run(board.news()))
    [3]
    """

    def __init__(self) -> None:
        self._begun: dict[int, Begun] = {}
        self._stop = asyncio.Event()

    async def begin(self, ticket: int, begun: Begun) -> None:
        """Hear that a call has begun.

        Parameters
        ----------
        ticket
            Of the call.
        begun
            Where.
        """
        self._begun[ticket] = begun

    async def news(self) -> dict[int, Begun]:
        """Return which calls have begun since the last time."""
        news, self._begun = self._begun, {}
        return news

    async def ask_to_stop(self) -> None:
        """Let all that wait for `asked_to_stop` go on."""
        self._stop.set()

    async def asked_to_stop(self) -> None:
        """Return when `ask_to_stop` is called."""
        await self._stop.wait()


def _answer(
    run: str,
    board: Any,
    ticket: int,
    threads: int,
    function: Callable[..., Any],
    place: str,
    *arguments: Any,
) -> Any:
    """Answer a call: what runs as a task."""
    worker.limit_threads(threads)
    _heed(run, board)
    return worker.answer(
        lambda: board.begin.remote(ticket, worker.here()), function, place, *arguments
    )


def _heed(run: str, board: Any) -> None:
    """Let a thread wait until the board of a run says that trainings are to stop.

    A driver that stays connected may be at its second run, whose calls come to the same processes.
    """
    if run in HEEDED:
        return
    HEEDED[:] = [run]
    worker.STOPPING.clear()
    threading.Thread(target=_wait_for, args=(run, board), daemon=True).start()


def _wait_for(run: str, board: Any) -> None:
    ray = imported_ray()
    with suppress(ray.exceptions.RayError):  # the run has ended before
        ray.get(board.asked_to_stop.remote())
        if run in HEEDED:
            worker.STOPPING.set()


def imported_ray() -> Any:
    """Return Ray, with its usage reporting off.

    Raises
    ------
    GradprobeError
        It is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise GradprobeError(
            f"the engine ray needs the extra ray: pip install 'gradprobe[ray]' ({error})"
        ) from error


def _connected(address: str | None, check: Callable[[], None], stack: ExitStack) -> Any:
    """Return Ray, connected as this process is already, or to `address`, or to a new cluster.

    What is to be undone in the end is left to `stack`.
    """
    before = sys.modules.get("ray")
    if before is not None and before.is_initialized():
        return before
    if address is None and before is None:  # Ray reads whether to authenticate when it is imported
        os.environ.setdefault(*AUTHENTICATED)
        cluster = OwnCluster({**QUIET, **os.environ})
        stack.callback(cluster.close)
        imported_ray()  # takes a second, in which the cluster starts
        address = cluster.address(check)
    ray = imported_ray()
    place = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        with _handlers_kept():
            ray.init(log_to_driver=False, logging_level="CRITICAL", **place)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise GradprobeError(
            f"no Ray cluster can be reached at {address or 'this machine'}: {error}"
        ) from error
    stack.callback(_disconnect, ray)
    return ray


def _disconnect(ray: Any) -> None:
    with _handlers_kept():
        ray.shutdown()


def _gone(ray: Any) -> tuple[type[Exception], ...]:
    """Return what is raised where a cluster does not answer any more."""
    return (ray.exceptions.RayError, ConnectionError)


def _board_beside_the_driver(ray: Any) -> Any:
    """Return a board on the machine of the driver, so that no other machine's end is its end."""
    scheduling = importlib.import_module("ray.util.scheduling_strategies")
    here = scheduling.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(num_cpus=0, max_concurrency=AT_ONCE, scheduling_strategy=here)(Board)
    return actor.remote()


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put our handlers of signals back, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
