"""A Ray cluster of our own on this machine, which outlives no run and is hit by no signal to it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gradprobe.errors import GradprobeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCRIPT = Path(__file__).with_name("ray_head.py")
TICK_SECONDS = 0.2
SECONDS_TO_END = 30.0
"""How long the cluster's processes may take to end when they are asked to."""


class OwnCluster:
    """A Ray cluster of one machine, in a session of processes of its own.

    Ctrl-C on a terminal, and signals to a whole group of processes, would otherwise end the cluster
    before its trainings have written their checkpoints.  It ends by `close`, and when this process
    ends, even by ``kill -9``: its head reads from a pipe whose writing end is here.

    It starts in the background; `address` waits for it.

    Parameters
    ----------
    environment
        Variables of its processes.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._errors: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        # -P: the script's folder holds a module named ray, which is not Ray
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._started = False

    def address(self, check: Callable[[], None]) -> str:
        """Return the cluster's address when it has started; call this once.

        Parameters
        ----------
        check
            Called several times a second; what it raises is raised.

        Raises
        ------
        GradprobeError
            It does not start.
        """
        while True:
            check()
            with suppress(queue.Empty):
                line = self._lines.get(timeout=TICK_SECONDS)
                break
        if not line:
            self._process.wait()
            raise GradprobeError(f"Ray cannot be started on this machine: {self._last_error()}")
        self._started = True
        return line

    def close(self) -> None:
        """End all processes of the cluster; one that is still starting, by force."""
        try:
            if not self._started:
                return
            with suppress(BrokenPipeError):  # it has ended already
                self._input.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_END)
        finally:
            self._kill()

    @property
    def _input(self) -> BinaryIO:
        return self._process.stdin  # type: ignore[return-value]  # it is a pipe

    def _read(self) -> None:
        """Pass on the first line, and the end if there is none."""
        with self._process.stdout as output:  # type: ignore[union-attr]  # it is a pipe
            self._lines.put(output.readline().decode().strip())

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _kill(self) -> None:
        """End what is left of the session, which is a group of processes as well."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._input.close()
        self._errors.close()
