"""Running a study: resuming, failures and the monitor, with cells that take no time."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar

import pandas as pd
import pytest
from fake_cells_study import (
    BUG,
    CRASH,
    ENDLESS,
    KILLED,
    MORTAL,
    REFUSED,
    SCRIPT,
    SEGFAULT,
    alive,
    computed,
    run,
    start,
    with_seeds,
)

from gradprobe.errors import (
    ArgumentError,
    BusyStoreError,
    GradprobeError,
    StoreError,
    StudyFileError,
)
from gradprobe.studies.grid import Cell, cells
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import parse_study
from gradprobe.studies.store import load, read_results
from gradprobe.studies.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study


class Recorder(Monitor):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.left: list[float] = []

    def checking(self) -> None:
        self.heard.append("checking")

    def planned(self, total: int, finished: int) -> None:
        self.heard.append(f"{finished} of {total}")

    def begun(self, cell: Cell) -> None:
        self.heard.append(f"begun {cell.label} {cell.seed}")

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        self.heard.append(f"ended {cell.label} {cell.seed}")

    def remaining(self, seconds: float | None) -> None:
        if seconds is not None:
            self.left.append(seconds)


def test_a_run_computes_each_cell_once_and_a_second_run_none(
    tmp_path: Path, study: Study, log: Path
) -> None:
    folder = tmp_path / "results"
    summary = run(study, folder)
    assert (summary.total, summary.finished, summary.computed, summary.failures) == (4, 4, 4, [])
    assert computed(log) == ["lstm-0", "lstm-1", "vanilla-0", "vanilla-1"]
    table = load(folder)
    assert table.query("step == 0")["value"].tolist() == [0.0, 0.0, 1.0, 1.0]
    again = run(study, folder)
    assert (again.finished, again.computed) == (4, 0)
    assert len(computed(log)) == 4
    pd.testing.assert_frame_equal(load(folder), table)


def test_more_seeds_compute_only_the_new_cells(tmp_path: Path, study: Study, log: Path) -> None:
    run(study, tmp_path / "results")
    summary = run(with_seeds(study, [0, 1, 2]), tmp_path / "results")
    assert (summary.total, summary.finished, summary.computed) == (6, 6, 2)
    assert [name for name in computed(log) if name.endswith("2")] == ["lstm-2", "vanilla-2"]
    assert len(computed(log)) == 6


def test_the_long_cells_come_first_and_the_monitor_hears_all(
    tmp_path: Path, study: Study, log: Path
) -> None:
    recorder = Recorder()
    run(study, tmp_path / "results", workers=1, monitor=recorder)
    long, short = "LSTM, forget bias 5", "Vanilla"
    order = [(long, 0), (long, 1), (short, 0), (short, 1)]
    steps = [f"{step} {label} {seed}" for label, seed in order for step in ("begun", "ended")]
    assert recorder.heard == ["checking", "0 of 4", *steps]
    assert recorder.left[-1] == 0.0


def test_threads_of_the_workers_are_the_specifications(
    tmp_path: Path, study: Study, log: Path
) -> None:
    text = study.text.replace("sequences = 2", "sequences = 2\nthreads_per_cell = 3")
    run(parse_study(text, "small.toml"), tmp_path / "results")
    assert set(load(tmp_path / "results").query("step == 1")["value"]) == {3.0}


def test_provenance_is_stored_with_every_cell(tmp_path: Path, study: Study, log: Path) -> None:
    run(study, tmp_path / "results")
    for record in read_results(tmp_path / "results").cells:
        origin = record.provenance
        assert origin["versions"]["torch"].startswith("2.")
        assert origin["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
        assert origin["machine"]["cores"] == os.cpu_count()
        assert "1797 images" in origin["task"]
        assert record.started < record.finished


def test_a_failing_cell_stops_no_other_and_is_kept_until_it_is_asked_for(
    tmp_path: Path, study: Study, log: Path
) -> None:
    seeds = with_seeds(study, [REFUSED, BUG, 0])
    summary = run(seeds, tmp_path / "results")
    assert (summary.finished, summary.computed) == (2, 2)
    reasons = {(cell.label, cell.seed): reason for cell, reason in summary.failures}
    assert reasons["Vanilla", REFUSED] == "this seed is refused"
    assert reasons["Vanilla", BUG].startswith("Traceback")
    assert reasons["Vanilla", BUG].rstrip().endswith("ZeroDivisionError: a bug")
    results = read_results(tmp_path / "results")
    assert [record.status for record in results.cells] == ["failed"] * 4 + ["finished"] * 2
    assert len(results.missing) == 4

    again = run(seeds, tmp_path / "results")
    assert (again.finished, again.computed, again.failures) == (2, 0, summary.failures)
    assert len(computed(log)) == 6
    asked = next(cell for cell, _ in again.failures if cell.seed == REFUSED)
    run(seeds, tmp_path / "results", only={asked.hash, cells(seeds)[-1].hash})
    assert len(computed(log)) == 7  # the finished one is not computed again


@pytest.mark.parametrize(
    ("seed", "cause"),
    [
        (CRASH, "its worker process ended with exit code 1; it was tried 2 times"),
        (
            KILLED,
            "its worker process was ended by SIGKILL (when nobody sent it, the machine ran out of "
            "memory); it was tried 2 times",
        ),
        (
            SEGFAULT,
            "its worker process was ended by SIGSEGV (a fault in compiled code); it was tried 2 "
            "times",
        ),
    ],
)
def test_a_dying_worker_costs_only_its_own_cell(
    tmp_path: Path, study: Study, log: Path, seed: int, cause: str
) -> None:
    summary = run(with_seeds(study, [0, seed, 1]), tmp_path / "results")
    assert summary.finished == 5
    (cell, reason), *others = summary.failures
    assert others == []
    assert (cell.label, cell.seed) == ("LSTM, forget bias 5", seed)
    assert reason == cause
    once = [name for name in computed(log) if name != f"lstm-{seed}"]
    assert len(once) == len(set(once)) == 5
    assert computed(log).count(f"lstm-{seed}") == 2


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path, study: Study, log: Path) -> None:
    class Listener(Monitor):
        heard: ClassVar[list[str]] = []

        def retried(self, cell: Cell, cause: str) -> None:
            self.heard.append(f"{cell.label}: {cause.split(' (', maxsplit=1)[0]}")

    summary = run(with_seeds(study, [MORTAL]), tmp_path / "results", monitor=Listener())
    assert (summary.finished, summary.failures) == (2, [])
    assert Listener.heard == ["LSTM, forget bias 5: its worker process was ended by SIGKILL"]
    assert load(tmp_path / "results").query("step == 0")["value"].tolist() == [float(MORTAL)] * 2


def test_a_cell_that_takes_too_long_is_failed_with_the_reason(
    tmp_path: Path, study: Study, log: Path
) -> None:
    text = study.text.replace("[grid]", "[grid]\ntime_limit_seconds = 1.5")
    limited = parse_study(text.replace("seeds = [0, 1]", f"seeds = [0, {ENDLESS}]"), "small.toml")
    assert cells(limited)[0].hash == cells(study)[0].hash
    summary = run(limited, tmp_path / "results")
    assert summary.finished == 2
    assert {(cell.seed, reason) for cell, reason in summary.failures} == {
        (ENDLESS, "took longer than the time limit of 1.5 s, and was ended")
    }
    assert alive(log) == []


def test_a_rehearsal_refuses_the_study_before_anything_is_written(
    tmp_path: Path, study: Study, log: Path
) -> None:
    with pytest.raises(StudyFileError) as caught:
        run(study, tmp_path / "results", rehearse="fake_cells:object_to")
    assert str(caught.value).splitlines() == [
        "small.toml: 2 mistakes:",
        "  line 24: probes.gradient_norm: no",
        "  line 18: models[1] (LSTM, forget bias 5): hidden_size is too small",
    ]
    assert not (tmp_path / "results").exists()
    assert computed(log) == []


def test_a_model_of_which_a_worker_dies_is_named(tmp_path: Path, study: Study, log: Path) -> None:
    reason = r"the model of .* on noise_padded_digits, seed \d cannot be tried: its worker process"
    with pytest.raises(GradprobeError, match=reason):
        run(study, tmp_path / "results", rehearse="fake_cells:die")
    assert not (tmp_path / "results").exists()


def test_a_script_without_the_guard_is_told_so(tmp_path: Path, study: Study, log: Path) -> None:
    unguarded = SCRIPT.replace('__name__ == "__main__"', "True")
    assert unguarded != SCRIPT
    _, errors = start(tmp_path, study, script=unguarded).communicate()
    assert "the worker processes end as soon as they start; a script that" in errors
    assert not (tmp_path / "results").exists()


def test_an_impossible_number_of_workers_is_refused(
    tmp_path: Path, study: Study, log: Path
) -> None:
    with pytest.raises(ArgumentError, match="workers must be a positive integer, got 0"):
        run(study, tmp_path / "results", workers=0)


def test_a_folder_that_is_being_written_is_refused(tmp_path: Path, study: Study, log: Path) -> None:
    folder = tmp_path / "results"
    with Writer(folder, study) as writer:
        with pytest.raises(BusyStoreError, match=r"another run is writing here; wait"):
            run(study, folder)
        writer.announce("local", 2)
        expected = rf"another run is writing here \(process {os.getpid()} on .*, since 20.*\); wait"
        with pytest.raises(BusyStoreError, match=expected):
            run(study, folder)
    assert computed(log) == []


def test_a_run_that_waits_goes_on_when_the_other_has_ended(
    tmp_path: Path, study: Study, log: Path
) -> None:
    folder, told = tmp_path / "results", []
    other = Writer(folder, study)

    class Patient(Monitor):
        def queueing(self, reason: str) -> None:
            told.append(reason)
            other.close()

    assert run(study, folder, wait=True, monitor=Patient()).finished == 4
    (reason,) = told
    assert "another run is writing here" in reason


def test_a_cell_of_two_studies_in_one_folder_is_computed_once(
    tmp_path: Path, study: Study, log: Path
) -> None:
    folder = tmp_path / "results"
    text = study.text.replace('name = "small"', 'name = "other"')
    other = parse_study(text.replace("seeds = [0, 1]", "seeds = [1, 2]"), "other.toml")
    run(study, folder)
    summary = run(other, folder)
    assert (summary.finished, summary.computed) == (4, 2)
    assert len(computed(log)) == len(set(computed(log))) == 6
    assert load(folder)["seed"].unique().tolist() == [1, 2]
    assert load(folder, "small")["seed"].unique().tolist() == [0, 1]
    assert read_results(folder, "small").study.name == "small"
    with pytest.raises(StoreError, match="holds no study 'third', but: small, other"):
        load(folder, "third")


def test_cells_know_their_task_and_hash(study: Study) -> None:
    first, *others = cells(study)
    assert first.task == "noise_padded_digits"
    assert len({first.hash, *(cell.hash for cell in others)}) == 4
