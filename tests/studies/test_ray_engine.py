"""The Ray engine on a real cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from fake_cells_study import KILLED, computed, run, with_seeds

from gradprobe.errors import ArgumentError
from gradprobe.studies.engines.base import EngineOptions
from gradprobe.studies.engines.ray import imported_ray
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study
from gradprobe.studies.store import load

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.grid import Cell
    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study

MEMORY = 80 * 2**20  # bytes of each node's object store


class Cluster:
    """A head that computes nothing but what is left, and a node that can be killed."""

    def __init__(self) -> None:
        imported_ray()
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
        self._cluster: Any = RayCluster(initialize_head=True, head_node_args=head)
        self._node: Any = self._cluster.add_node(num_cpus=2, object_store_memory=MEMORY)
        self.options = EngineOptions("ray", address=self._cluster.address)

    def kill_node(self) -> None:
        self._cluster.remove_node(self._node, allow_graceful=False)

    def shutdown(self) -> None:
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
def test_a_study_on_a_cluster_of_which_a_node_is_killed(
    tmp_path: Path, study: Study, log: Path
) -> None:
    """One cluster for all that is to be shown of it: starting one takes ten seconds and more."""
    many, folder = with_seeds(study, list(range(8))), tmp_path / "results"
    cluster = Cluster()
    try:
        monitor = KillsTheNode(cluster, log)
        options = {"workers": 3, "compute": "fake_cells:until_released"}
        summary = run(many, folder, engine=cluster.options, monitor=monitor, **options)
        assert (summary.finished, summary.failures) == (16, [])
        assert 1 <= len(monitor.retried_because) <= 3
        assert set(monitor.retried_because) == {"its machine left the cluster"}
        (log / "released").unlink()
        counts = Counter(computed(log))
        assert len(counts) == 16
        assert sum(counts.values()) <= 16 + len(monitor.retried_because)
        (log / "released").touch()
        local = tmp_path / "local"
        run(many, local, **options)
        pd.testing.assert_frame_equal(load(folder), load(local), check_exact=True)

        _check_that_real_cells_are_the_same(tmp_path, study, cluster.options)
        (log / "released").unlink()
        killed = run(with_seeds(study, [KILLED]), tmp_path / "killed", engine=cluster.options)
        ((_, reason),) = killed.failures
        assert reason.startswith("its worker process died")
        assert reason.endswith("it was tried 2 times")

        _check_that_sigterm_saves_trainings(tmp_path, study, log, cluster.options)
        with pytest.raises(ArgumentError, match="no machine of the Ray cluster has room"):
            run(
                many,
                tmp_path / "large",
                engine=EngineOptions("ray", cluster.options.address, cpus_per_cell=64),
            )
    finally:
        cluster.shutdown()


def _check_that_real_cells_are_the_same(
    tmp_path: Path, study: Study, options: EngineOptions
) -> None:
    one = parse_study(study.text.replace("seeds = [0, 1]", "seeds = [3]"), "small.toml")
    run_study(one, tmp_path / "real_ray", engine=options)
    run_study(one, tmp_path / "real_local", workers=2)
    local = load(tmp_path / "real_local")
    assert local["value"].notna().sum() > 100
    pd.testing.assert_frame_equal(load(tmp_path / "real_ray"), local, check_exact=True)


def _check_that_sigterm_saves_trainings(
    tmp_path: Path, study: Study, log: Path, options: EngineOptions
) -> None:
    for file in log.iterdir():
        file.unlink()
    text = study.text.replace("[grid]", "[training]\niterations = 100000\n[grid]")
    trained = parse_study(text.replace("seeds = [0, 1]", "seeds = [0]"), "small.toml")
    half = EngineOptions("ray", options.address, cpus_per_cell=0.5)
    with pytest.raises(InterruptedStudyError) as caught:
        run(
            trained,
            tmp_path / "trained",
            compute="fake_cells:train",
            engine=half,
            monitor=Terminates(log),
        )
    assert caught.value.exit_code == 143
    saved = [int(path.read_text()) for path in (tmp_path / "trained/checkpoints").glob("*.pt")]
    assert len(saved) == 2
    assert all(0 < count < 100000 for count in saved)
