"""The processes of a cluster that a run starts for itself, with a script in place of Ray's head."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from fake_cells_study import is_running, wait_for

from gradprobe.errors import GradprobeError
from gradprobe.studies.engines import ray_cluster
from gradprobe.studies.engines.ray_cluster import OwnCluster
from gradprobe.studies.interruption import InterruptedStudyError, Interruption

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
import os, sys
print(os.getpid(), flush=True)
sys.stdin.read()
"""
STUBBORN = HEAD + "import time; time.sleep(600)"
FAILING = "print(end=''); raise OSError('no room in /dev/shm')"

OWNER = """\
import sys, time
from pathlib import Path
from gradprobe.studies.engines import ray_cluster
ray_cluster.SCRIPT = Path(sys.argv[1])
print(ray_cluster.OwnCluster({}).address(lambda: None), flush=True)
time.sleep(600)
"""


def with_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> OwnCluster:
    (tmp_path / "head.py").write_text(text)
    monkeypatch.setattr(ray_cluster, "SCRIPT", tmp_path / "head.py")
    return OwnCluster(os.environ)


def test_signals_to_our_group_of_processes_do_not_reach_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_script(tmp_path, monkeypatch, HEAD)
    head = int(cluster.address(lambda: None))
    assert os.getpgid(head) == head != os.getpgrp()
    assert os.getsid(head) == head
    cluster.close()
    assert not is_running(head)


def test_a_head_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "SECONDS_TO_END", 0.1)
    cluster = with_script(tmp_path, monkeypatch, STUBBORN)
    head = int(cluster.address(lambda: None))
    cluster.close()
    assert not is_running(head)


def test_a_cluster_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_script(tmp_path, monkeypatch, FAILING)
    with pytest.raises(GradprobeError, match=r"cannot be started .*: OSError: no room in /dev/shm"):
        cluster.address(lambda: None)
    cluster.close()


def test_ctrl_c_while_the_cluster_starts_ends_both_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_script(tmp_path, monkeypatch, "import time; time.sleep(600)")
    interruption = Interruption()
    interruption.notice(signal.SIGINT)
    with pytest.raises(InterruptedStudyError):
        cluster.address(interruption.check)
    cluster.close()
    assert cluster._process.returncode == -signal.SIGKILL


def test_kill_9_of_a_run_ends_its_cluster(tmp_path: Path) -> None:
    (tmp_path / "head.py").write_text(HEAD)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "head.py")], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        head = int(owner.stdout.readline())
        assert is_running(head)
        owner.kill()
    wait_for(lambda: not is_running(head))
