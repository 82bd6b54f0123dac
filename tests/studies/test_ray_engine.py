"""The Ray engine: a real cluster of two nodes, one of which is killed, and one that a run starts.

All of it is one test: starting a cluster takes long, and Ray's worker processes import torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from fake_cells_study import KILLED, computed, run, wait_for, with_seeds
from patience import SECONDS_OF_PATIENCE

from gradprobe.errors import ArgumentError
from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.engines.ray import imported_ray
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study
from gradprobe.studies.store import load, read_results

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study

TRAINED = """\
name = "trained"
question = "Do engines make a difference?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = [0, 1]
sequences = 2
[training]
optimizer = "adam"
batch_size = 4
iterations = 2000
validate_every = 1000
record_every = 400
probe_at = [0, 100, "end"]
[[models]]
label = "Vanilla"
name = "vanilla"
hidden_size = 4
[probes.gradient_norm]
"""
MEMORY = 80 * 2**20  # bytes of each node's object store


class Cluster:
    """A head that computes nothing but what is left, and a node that can be killed."""

    def __init__(self) -> None:
        ray = imported_ray()
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
        self._cluster: Any = RayCluster(initialize_head=True, head_node_args=head)
        self._node: Any = self._cluster.add_node(num_cpus=2, object_store_memory=MEMORY)
        ray.init(address=self._cluster.address, log_to_driver=False, logging_level="CRITICAL")
        self.options = EngineOptions("ray", cpus_per_cell=0.5)

    def kill_node(self) -> None:
        self._cluster.remove_node(self._node, allow_graceful=False)

    def shutdown(self) -> None:
        imported_ray().shutdown()
        self._cluster.shutdown()


class KillsTheNode(Monitor):
    """Kills a node once some cells are stored; two others are at work, one of them on it."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self._cluster = cluster
        self._log = log
        self._ended = 0
        self.retried_because: list[str] = []

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        self._ended += 1
        if self._ended == 4:
            self._cluster.kill_node()

    def retried(self, cell: Cell, cause: str) -> None:
        self.retried_because.append(cause)
        (self._log / "released").touch()


class Terminates(Monitor):
    """Sends this process SIGTERM once all trainings are at work."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def remaining(self, seconds: float | None) -> None:
        if len(computed(self._log)) == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:ray",
    "ignore:.*unclosed.*:ResourceWarning",
    "ignore:subprocess .* is still running:ResourceWarning",
)
def test_studies_on_clusters(tmp_path: Path, study: Study, log: Path) -> None:
    interrupted = start_trainings(tmp_path)  # on a cluster of its own, while the other one starts
    cluster = Cluster()
    try:
        check_that_signals_to_all_processes_save_trainings(tmp_path, interrupted)
        check_that_a_killed_node_costs_no_finished_cell(tmp_path, study, cluster, log)
        check_that_a_cell_that_kills_its_worker_fails(tmp_path, study, cluster.options)
        check_that_a_driver_that_stays_connected_can_go_on(tmp_path, study, log, cluster.options)
        check_that_trainings_are_the_same(tmp_path, cluster.options)
        large = EngineOptions("ray", cpus_per_cell=64)
        with pytest.raises(ArgumentError, match="no machine of the Ray cluster has room"):
            run(study, tmp_path / "large", engine=large)
    finally:
        cluster.shutdown()


def start_trainings(tmp_path: Path) -> subprocess.Popen[str]:
    """Begin the trainings that are to be compared, as a person would."""
    (tmp_path / "trained.toml").write_text(TRAINED)
    command = ["run", "trained.toml", "--results", "ray", "--engine", "ray", "--workers", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "gradprobe", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def check_that_signals_to_all_processes_save_trainings(
    tmp_path: Path, process: subprocess.Popen[str]
) -> None:
    saved = tmp_path / "ray" / "checkpoints"
    wait_for(lambda: any(saved.glob("*.pt")) or process.poll() is not None)
    before = {path: path.stat().st_mtime_ns for path in saved.glob("*.pt")}
    os.killpg(process.pid, signal.SIGTERM)
    output, errors = process.communicate(timeout=SECONDS_OF_PATIENCE)
    assert (process.returncode, output) == (143, ""), errors
    shown = errors.splitlines()
    assert shown[-1].startswith("gradprobe: interrupted by SIGTERM; finished cells are stored")
    assert shown[-2].startswith("Stopping: trainings write checkpoints")
    assert all(line.startswith(("Starting", "2 cells", "begun: ")) for line in shown[:-2]), errors
    assert len(before) == 1
    assert all(path.stat().st_mtime_ns > moment for path, moment in before.items())
    assert read_results(tmp_path / "ray").cells == []


def check_that_a_killed_node_costs_no_finished_cell(
    tmp_path: Path, study: Study, cluster: Cluster, log: Path
) -> None:
    many, folder = with_seeds(study, list(range(8))), tmp_path / "results"
    monitor, whole = KillsTheNode(cluster, log), EngineOptions("ray")
    options = {"workers": 3, "compute": "fake_cells:until_released"}
    summary = run(many, folder, engine=whole, monitor=monitor, **options)
    assert (summary.finished, summary.failures) == (16, [])
    assert 1 <= len(monitor.retried_because) <= 3
    assert set(monitor.retried_because) == {"its machine left the cluster"}
    (log / "released").unlink()
    counts = Counter(computed(log))
    assert len(counts) == 16
    assert sum(counts.values()) <= 16 + len(monitor.retried_because)
    (log / "released").touch()
    run(many, tmp_path / "local", **options)
    pd.testing.assert_frame_equal(load(folder), load(tmp_path / "local"), check_exact=True)
    (log / "released").unlink()


def check_that_a_cell_that_kills_its_worker_fails(
    tmp_path: Path, study: Study, options: EngineOptions
) -> None:
    killed = run(with_seeds(study, [KILLED]), tmp_path / "killed", engine=options)
    ((_, reason),) = killed.failures
    assert reason.startswith("its worker process died")
    assert reason.endswith("it was tried 2 times")


def check_that_a_driver_that_stays_connected_can_go_on(
    tmp_path: Path, study: Study, log: Path, options: EngineOptions
) -> None:
    """Its next run comes to processes that were asked to stop in the last one."""
    for file in log.iterdir():
        file.unlink()
    text = study.text.replace("[grid]", "[training]\niterations = 100000\n[grid]")
    trained = parse_study(text.replace("seeds = [0, 1]", "seeds = [0]"), "small.toml")
    folder, cell = tmp_path / "trained", "fake_cells:train"
    with pytest.raises(InterruptedStudyError) as caught:
        run(trained, folder, compute=cell, engine=options, monitor=Terminates(log))
    assert caught.value.exit_code == 143
    checkpoints = list((folder / "checkpoints").glob("*.pt"))
    assert len(checkpoints) == 2
    for path in checkpoints:
        assert 0 < int(path.read_text()) < 100_000
        path.write_text("99999")
    assert run(trained, folder, compute=cell, engine=options).computed == 2
    assert load(folder)["value"].tolist() == [100_000.0, 100_000.0]


def check_that_trainings_are_the_same(tmp_path: Path, options: EngineOptions) -> None:
    """By Ray, one training having been interrupted, and by one worker and two of this machine."""
    trained = parse_study(TRAINED, "trained.toml")
    assert run_study(trained, tmp_path / "ray", engine=options).finished == 2
    table = load(tmp_path / "ray")
    assert table["iteration"].max() == 2000
    assert table.groupby("probe")["value"].count().min() > 5
    for workers in (1, 2):
        folder = tmp_path / f"local {workers}"
        assert run_study(trained, folder, workers=workers).finished == 2
        pd.testing.assert_frame_equal(load(folder), table, check_exact=True)
    assert not (tmp_path / "ray" / "checkpoints").exists()
