"""Running a study: resuming, failures, interruptions, and `kill -9`, with cells that take no time.

The cells' function is written to a module of its own, which the worker processes import.  What it
does depends on the cell's seed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from gradprobe.errors import ArgumentError, GradprobeError, StoreError, StudyFileError
from gradprobe.studies.grid import Cell, cells
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study
from gradprobe.studies.store import load, read_results
from gradprobe.studies.workplace import Note
from gradprobe.studies.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradprobe.studies.outcome import Outcome
    from gradprobe.studies.schema import Study

REFUSED, BUG, CRASH, ENDLESS = 901, 902, 903, 904

FAKE_CELLS = f"""\
import os, time
from pathlib import Path
from gradprobe import frame
from gradprobe.errors import ArgumentError
from gradprobe.studies.outcome import Computed, Rehearsal
from gradprobe.studies.workplace import Notes

def note(specification):
    name = f"{{specification['model']['name']}}-{{specification['seed']}}-{{os.getpid()}}"
    (Path(os.environ["FAKE_CELLS_LOG"]) / f"{{name}}-{{time.monotonic_ns()}}").touch()

def compute(specification, workplace):
    note(specification)
    seed = specification["seed"]
    if seed == {REFUSED}:
        raise ArgumentError("this seed is refused")
    if seed == {BUG}:
        raise ZeroDivisionError("a bug")
    if seed == {CRASH} and specification["model"]["name"] == "lstm":
        os._exit(1)
    if seed == {ENDLESS}:
        time.sleep(600)
    values = [float(seed), float(os.environ["OMP_NUM_THREADS"])]
    return Computed(frame.rows(step=[0, 1], value=values))

def slow(specification, workplace):
    time.sleep(0.15)
    return compute(specification, workplace)

def train(specification, workplace):
    # Counts to the number of iterations, and saves the count only when asked to stop.
    note(specification)
    notes, saved = Notes(workplace.note), workplace.checkpoint
    saved.parent.mkdir(exist_ok=True)
    count = int(saved.read_text()) if saved.exists() else 0
    total = specification["training"]["iterations"]
    while count < total:
        if workplace.stopping():
            saved.write_text(str(count))
            return None
        time.sleep(0.01)
        count += 1
        notes.take(count, total, "validation_accuracy", count / total)
    return Computed(frame.rows(value=float(count)), seconds=1000.0)

def rehearse(specification, with_probes):
    return Rehearsal({{}}, {{"vanilla": 1.0, "lstm": 4.0}}[specification["model"]["name"]])

def object_to(specification, with_probes):
    mistakes = {{"probes.gradient_norm": "no"}} if with_probes else {{}}
    if specification["model"]["name"] == "lstm":
        mistakes["model"] = "hidden_size is too small"
    return Rehearsal(mistakes, 1.0)

def die(specification, with_probes):
    os._exit(1)
"""

SCRIPT = """\
import sys
from gradprobe.studies.interruption import InterruptedStudyError
from gradprobe.studies.reading import load_study
from gradprobe.studies.running import run_study

if __name__ == "__main__":
    study, folder, compute = sys.argv[1:]
    try:
        run_study(load_study(study), folder, workers=2,
                  compute=f"fake_cells:{compute}", rehearse="fake_cells:rehearse")
    except InterruptedStudyError as error:
        print(error)
        sys.exit(error.exit_code)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake cells note that they were computed: a file for each time."""
    modules, folder = tmp_path / "modules", tmp_path / "log"
    modules.mkdir()
    folder.mkdir()
    (modules / "fake_cells.py").write_text(FAKE_CELLS)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setenv("PYTHONPATH", str(modules), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_CELLS_LOG", str(folder))
    return folder


def computed(log: Path) -> list[str]:
    """Return ``model-seed`` of every computation, sorted."""
    return sorted("-".join(path.name.split("-")[:2]) for path in log.iterdir())


def with_seeds(study: Study, seeds: list[int]) -> Study:
    return parse_study(study.text.replace("seeds = [0, 1]", f"seeds = {seeds}"), "small.toml")


def run(study: Study, folder: Path, **options: Any) -> Any:
    chosen = {"compute": "fake_cells:compute", "rehearse": "fake_cells:rehearse", **options}
    return run_study(study, folder, **{"workers": 2, **chosen})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute in vain"
        time.sleep(0.02)


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


def test_a_failing_cell_stops_no_other_and_is_tried_again(
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
    run(seeds, tmp_path / "results")
    assert computed(log).count(f"vanilla-{REFUSED}") == 2
    assert computed(log).count("vanilla-0") == 1


def test_a_dying_worker_costs_only_its_own_cell(tmp_path: Path, study: Study, log: Path) -> None:
    summary = run(with_seeds(study, [0, CRASH, 1, 2]), tmp_path / "results")
    assert summary.finished == 7
    (cell, reason), *others = summary.failures
    assert others == []
    assert (cell.label, cell.seed) == ("LSTM, forget bias 5", CRASH)
    assert "the worker process ended without a result" in reason


def test_a_rehearsal_refuses_the_study_before_anything_is_written(
    tmp_path: Path, study: Study, log: Path
) -> None:
    with pytest.raises(StudyFileError) as caught:
        run(study, tmp_path / "results", rehearse="fake_cells:object_to")
    assert str(caught.value).splitlines() == [
        "small.toml: 2 mistakes:",
        "  probes.gradient_norm: no",
        "  models[1] (LSTM, forget bias 5): hidden_size is too small",
    ]
    assert not (tmp_path / "results").exists()
    assert computed(log) == []


def test_workers_that_cannot_start_are_an_error(tmp_path: Path, study: Study, log: Path) -> None:
    with pytest.raises(GradprobeError, match="the worker processes end as soon as they start"):
        run(study, tmp_path / "results", rehearse="fake_cells:die")
    assert not (tmp_path / "results").exists()


def test_an_impossible_number_of_workers_is_refused(
    tmp_path: Path, study: Study, log: Path
) -> None:
    with pytest.raises(ArgumentError, match="workers must be a positive integer, got 0"):
        run(study, tmp_path / "results", workers=0)


def test_a_folder_that_is_being_written_is_refused(tmp_path: Path, study: Study, log: Path) -> None:
    folder = tmp_path / "results"
    with Writer(folder, study), pytest.raises(StoreError, match="another run is writing here"):
        run(study, folder)
    assert computed(log) == []


def start(tmp_path: Path, study: Study, compute: str = "slow") -> subprocess.Popen[str]:
    """Start a run in a process of its own, in a process group of its own."""
    (tmp_path / "run.py").write_text(SCRIPT)
    (tmp_path / "small.toml").write_text(study.text)
    return subprocess.Popen(
        [sys.executable, "run.py", "small.toml", "results", compute],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished_count(folder: Path) -> int:
    try:
        return sum(record.status == "finished" for record in read_results(folder).cells)
    except StoreError:  # not there yet
        return 0


def alive(log: Path) -> list[int]:
    """Return which of the worker processes are still there."""
    processes = {int(path.name.split("-")[2]) for path in log.iterdir()}
    return [process for process in processes if is_running(process)]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_kill_9_loses_no_finished_cell_and_leaves_no_worker(
    tmp_path: Path, study: Study, log: Path
) -> None:
    many = with_seeds(study, list(range(24)))  # enough not to end before the blow falls
    folder = tmp_path / "results"
    process = start(tmp_path, many)
    wait_for(lambda: finished_count(folder) >= 6)
    before = read_results(folder)
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(log))
    after = read_results(folder)
    finished = [record.hash for record in after.cells]
    assert set(finished) >= {record.hash for record in before.cells}
    assert 6 <= len(finished) < 48
    attempts = len(computed(log))
    assert attempts - len(finished) <= 2  # those that were being computed

    summary = run(many, folder)
    assert (summary.finished, summary.computed) == (48, 48 - len(finished))
    assert len(computed(log)) == attempts + 48 - len(finished)
    undisturbed = tmp_path / "undisturbed"
    run(many, undisturbed)
    pd.testing.assert_frame_equal(load(folder), load(undisturbed))


def test_kill_9_ends_workers_that_are_in_the_middle_of_a_cell(
    tmp_path: Path, study: Study, log: Path
) -> None:
    process = start(tmp_path, with_seeds(study, [ENDLESS]))
    wait_for(lambda: len(computed(log)) == 2)
    assert len(alive(log)) == 2
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(log))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_at_once_and_keeps_what_is_finished(
    tmp_path: Path, study: Study, log: Path, number: signal.Signals, code: int
) -> None:
    endless = with_seeds(study, [0, 1, ENDLESS])
    process = start(tmp_path, endless)
    wait_for(lambda: len(computed(log)) >= 2)
    os.killpg(process.pid, number)  # as a terminal does: all processes of the group
    output, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert output == f"interrupted by {number.name}\n"
    assert errors == ""
    wait_for(lambda: not alive(log))
    assert len(read_results(tmp_path / "results").missing) >= 2


def with_training(study: Study, iterations: int) -> Study:
    text = study.text.replace("[grid]", f"[training]\niterations = {iterations}\n[grid]")
    return parse_study(text.replace("seeds = [0, 1]", "seeds = [0]"), "small.toml")


@pytest.mark.parametrize(
    ("number", "code", "everybody"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, True), (signal.SIGTERM, 143, False)],
)
def test_an_interrupted_training_saves_itself_and_goes_on(
    tmp_path: Path, study: Study, log: Path, number: signal.Signals, code: int, everybody: bool
) -> None:
    trained, folder = with_training(study, 3000), tmp_path / "results"
    process = start(tmp_path, trained, "train")
    wait_for(lambda: len(computed(log)) == 2)
    (os.killpg if everybody else os.kill)(process.pid, number)
    os.kill(process.pid, number)  # passed on a second time by whoever started the run
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (code, f"interrupted by {number.name}\n"), errors
    wait_for(lambda: not alive(log))
    saved = {path.stem: int(path.read_text()) for path in folder.glob("checkpoints/*.pt")}
    assert set(saved) == {cell.hash for cell in cells(trained)}
    assert max(saved.values()) < 3000

    for path in folder.glob("checkpoints/*.pt"):
        path.write_text("2990")  # to be done soon
    summary = run(trained, folder, compute="fake_cells:train")
    assert summary.computed == 2
    assert load(folder)["value"].tolist() == [3000.0, 3000.0]
    assert [record.seconds for record in read_results(folder).cells] == [1000.0, 1000.0]
    assert not (folder / "checkpoints").exists()


def test_kill_9_of_a_run_ends_its_trainings_too(tmp_path: Path, study: Study, log: Path) -> None:
    process = start(tmp_path, with_training(study, 100_000), "train")
    wait_for(lambda: len(computed(log)) == 2)
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(log))


def test_the_monitor_hears_how_far_a_training_is(tmp_path: Path, study: Study, log: Path) -> None:
    class Listener(Monitor):
        def __init__(self) -> None:
            self.notes: list[Note] = []

        def progressed(self, cell: Cell, note: Note) -> None:
            assert cell.trains
            self.notes.append(note)

    listener, short = Listener(), with_training(study, 300)
    run(short, tmp_path / "results", compute="fake_cells:train", monitor=listener)
    assert listener.notes
    for note in listener.notes:
        assert 0 < note.iteration < note.iterations == 300
        assert note.value == note.iteration / 300
        assert 0 < note.rate < 101  # a hundredth of a second each, and more


def test_checkpoints_of_stored_cells_are_removed_and_other_files_are_not(
    tmp_path: Path, study: Study, log: Path
) -> None:
    trained, folder = with_training(study, 1), tmp_path / "results"
    run(trained, folder, compute="fake_cells:train")
    first, second = cells(trained)
    (folder / "checkpoints").mkdir()
    left = [folder / "checkpoints" / name for name in (f"{first.hash}.pt", f"{second.hash}.json")]
    others = [folder / "checkpoints" / name for name in ("0a1b.pt", f"{first.hash}.txt")]
    for path in left + others:
        path.touch()
    run(trained, folder, compute="fake_cells:train")
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_cells_know_their_task_and_hash(study: Study) -> None:
    first, *others = cells(study)
    assert first.task == "noise_padded_digits"
    assert len({first.hash, *(cell.hash for cell in others)}) == 4
