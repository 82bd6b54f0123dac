"""Ctrl-C, SIGTERM and `kill -9` of a run: nothing finished is lost, no process is left behind."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from fake_cells_study import (
    ENDLESS,
    alive,
    computed,
    run,
    start,
    wait_for,
    with_seeds,
)
from patience import SECONDS_OF_PATIENCE

from gradprobe.studies import worker
from gradprobe.studies.engines.base import EngineError
from gradprobe.studies.forecast import Forecast
from gradprobe.studies.grid import Cell, cells
from gradprobe.studies.interruption import (
    SECONDS_OF_ONE_SIGNAL,
    InterruptedStudyError,
    Interruption,
)
from gradprobe.studies.monitor import Monitor
from gradprobe.studies.reading import parse_study
from gradprobe.studies.recording import Checkpoints
from gradprobe.studies.scheduling import Scheduler, Surroundings
from gradprobe.studies.store import load, read_results
from gradprobe.training.checkpoint import save

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.schema import Study
    from gradprobe.studies.workplace import Note


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
    output, errors = process.communicate(timeout=SECONDS_OF_PATIENCE)
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
    output, errors = process.communicate(timeout=SECONDS_OF_PATIENCE)
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


class PressesTwice(Monitor):
    """Sends this process SIGINT once all trainings are at work, and again while they stop."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def remaining(self, seconds: float | None) -> None:
        if len(computed(self._log)) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def stopping(self) -> None:
        time.sleep(SECONDS_OF_ONE_SIGNAL + 0.1)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_does_not_wait_for_trainings(
    tmp_path: Path, study: Study, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GRACE_SECONDS", 10 * SECONDS_OF_PATIENCE)
    with pytest.raises(InterruptedStudyError) as caught:
        run(
            with_training(study, 1),
            tmp_path / "results",
            compute="fake_cells:deaf",
            monitor=PressesTwice(log),
        )
    assert caught.value.exit_code == 130
    wait_for(lambda: not alive(log))


class Vanishing:
    """An engine whose processes end, with a signal that reaches all or without one."""

    count = 1

    def __init__(self, signalled: Interruption | None) -> None:
        self._signalled = signalled

    def submit(self, *arguments: object) -> int:
        return 1

    def begun(self, ticket: int) -> None:
        return None

    def wait(self, seconds: float) -> list[Any]:
        if self._signalled is not None:
            self._signalled.notice(signal.SIGTERM)
        raise EngineError("all that computes is gone")


@pytest.mark.parametrize(
    ("by_signal", "error"), [(True, InterruptedStudyError), (False, EngineError)]
)
def test_an_engine_that_is_gone_ends_the_run_as_what_ended_it(
    tmp_path: Path, study: Study, by_signal: bool, error: type[Exception]
) -> None:
    interruption = Interruption()
    engine: Any = Vanishing(interruption if by_signal else None)
    surroundings = Surroundings(
        place="fake_cells:compute",
        checkpoint_of=lambda cell: tmp_path / "0a1b.pt",
        record=lambda ended: None,
        beat=lambda running, left: None,
        monitor=Monitor(),
        forecast=Forecast({}, 1),
    )
    with pytest.raises(error):
        Scheduler(engine, surroundings).run(cells(study)[:1], interruption)


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
        assert note.rate is not None
        assert 0 < note.rate < 101  # a hundredth of a second each, and more


def test_a_refused_checkpoint_fails_its_cell_which_begins_anew_when_it_is_asked_for(
    tmp_path: Path, study: Study, log: Path
) -> None:
    class Listener(Monitor):
        kept: list[Path]

        def keeping(self, cell: Cell, path: Path) -> None:
            self.kept.append(path)

    trained, folder, listener = with_training(study, 1), tmp_path / "results", Listener()
    first = cells(trained)[0]
    checkpoint = folder / "checkpoints" / f"{first.hash}.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("of an older commit")
    for _ in range(2):  # the second run does not begin anew in silence
        listener.kept = []
        ((failed, reason),) = run(
            trained, folder, compute="fake_cells:particular", monitor=listener
        ).failures
        assert failed == first
        assert "gradprobe retry" in reason
        assert checkpoint.read_text() == "of an older commit"
        assert listener.kept == []
    summary = run(
        trained, folder, compute="fake_cells:particular", monitor=listener, only={first.hash}
    )
    assert (summary.finished, summary.failures) == (2, [])
    assert listener.kept == [checkpoint.with_name(f"{first.hash}.pt.refused")]
    assert computed(log) == ["lstm-0", "vanilla-0", "vanilla-0"]
    assert not checkpoint.parent.exists()


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


def test_the_folder_of_checkpoints_stays_while_other_trainings_may_be_about_to_save(
    tmp_path: Path, study: Study
) -> None:
    first, second = cells(with_training(study, 1))
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    save(checkpoints.path(first), {}, {})
    checkpoints.remove({first.hash})
    assert list((tmp_path / "checkpoints").iterdir()) == []
    save(checkpoints.path(second), {}, {})
    checkpoints.remove_if_empty()
    assert checkpoints.path(second).exists()
    checkpoints.remove({second.hash})
    checkpoints.remove_if_empty()
    assert not (tmp_path / "checkpoints").exists()
