"""What a run shows: lines in a file, a display on a terminal."""

from __future__ import annotations

import io
import pty
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from gradprobe.studies.forecast import Forecast, sibling_key
from gradprobe.studies.grid import Cell
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.progress import LiveReporter, PlainReporter, in_words, reporter
from gradprobe.studies.workplace import Note

GRU = Cell("GRU [red]", {"model": "gru", "seed": 3})
LSTM = Cell("LSTM", {"model": "lstm", "seed": 3})
DONE = Outcome("", "", 65.2, parquet=b"table")
FAILED = Outcome("", "", 2.0, error="overflow")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_lines_name_each_cell_and_the_time_left() -> None:
    stream = io.StringIO()
    with reporter(stream) as monitor:
        monitor.checking()
        monitor.planned(5, 2)
        monitor.begun(GRU)
        monitor.begun(LSTM)
        monitor.ended(GRU, DONE)
        monitor.remaining(130.0)
        monitor.ended(LSTM, FAILED)
        monitor.remaining(None)
    assert stream.getvalue().splitlines() == [
        "Starting the workers and building each model once",
        "5 cells; 2 are stored already, 3 to compute",
        "begun: GRU [red], seed 3",
        "begun: LSTM, seed 3",
        "[3/5] finished: GRU [red], seed 3, 1 min 5 s; about 2 min 10 s left",
        "[4/5] failed: LSTM, seed 3, 2 s; time left: not known yet",
    ]


def test_lines_of_a_training_come_at_most_every_half_minute() -> None:
    stream, now = io.StringIO(), [100.0]
    trained = Cell("GRU", {"model": "gru", "seed": 3, "training": {}}, task="MNIST")
    with PlainReporter(stream, clock=lambda: now[0]) as monitor:
        monitor.planned(1, 0)
        monitor.begun(trained)
        for second in range(65):
            now[0] = 100.0 + second
            monitor.progressed(trained, Note(10 * second, 5000, 10.0, "validation_accuracy", 0.5))
        monitor.stopping()
    assert stream.getvalue().splitlines()[1:] == [
        "begun: GRU on MNIST, seed 3",
        "training: GRU on MNIST, seed 3: 300/5000 iterations, 10 per second, validation_accuracy "
        "0.5, about 7 min 50 s left",
        "training: GRU on MNIST, seed 3: 600/5000 iterations, 10 per second, validation_accuracy "
        "0.5, about 7 min 20 s left",
        "Stopping: the trainings are writing their checkpoints; once more ends them at once",
    ]


def test_an_interruption_loses_no_line() -> None:
    stream = io.StringIO()
    with suppress(KeyboardInterrupt), PlainReporter(stream) as monitor:
        monitor.planned(1, 0)
        monitor.ended(GRU, DONE)
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "[1/1] finished: GRU [red], seed 3, 1 min 5 s"


def test_a_terminal_shows_what_is_running_and_the_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with LiveReporter(console) as monitor:
        monitor.planned(5, 2)
        monitor.begun(GRU)
        monitor.begun(LSTM)
        monitor.progressed(GRU, Note(250, 1000, 5.0))
        monitor.ended(LSTM, FAILED)
        monitor.remaining(130.0)
        with console.capture() as capture:
            console.print(monitor.display)
    shown = capture.get()
    assert "3/5" in shown
    assert "about 2 min 10 s left" in shown
    assert "GRU [red], seed 3: 250/1000 iterations, 5 per second, about 2 min 30 s left" in shown
    assert "LSTM, seed 3" not in shown


def test_a_terminal_gets_the_display_and_a_file_the_lines(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    with open(terminal, "w") as stream, open(controller, "rb"):  # noqa: PTH123 - descriptors
        assert isinstance(reporter(stream), LiveReporter)
    with (tmp_path / "log.txt").open("w") as stream:
        assert isinstance(reporter(stream), PlainReporter)


def test_a_forecast_learns_from_the_cells_that_ended() -> None:
    costs = {sibling_key(GRU): 1.0, sibling_key(LSTM): 4.0}
    forecast = Forecast(costs, workers=2)
    assert forecast.remaining([GRU], []) is None
    forecast.ended(GRU, 3.0)
    assert forecast.remaining([LSTM, LSTM, GRU], []) == pytest.approx((12 + 12 + 3) / 2)
    forecast.ended(GRU, 5.0)
    forecast.ended(LSTM, 20.0)
    assert forecast.remaining([LSTM, GRU], [(LSTM, 18.0)]) == pytest.approx((20 + 4 + 2) / 2)
    assert forecast.remaining([], [(LSTM, 5.0), (GRU, 9.0)]) == 15.0
    assert forecast.remaining([], []) == 0.0


def test_a_forecast_learns_from_trainings_that_go_on() -> None:
    forecast = Forecast({sibling_key(GRU): 1.0, sibling_key(LSTM): 4.0}, workers=2)
    forecast.noted(GRU, Note(900, 1000, 10.0))
    sibling = Cell("GRU [red]", {"model": "gru", "seed": 4})
    assert forecast.remaining([], [(GRU, 50.0)]) == 10.0
    assert forecast.remaining([sibling], [(GRU, 50.0)]) == pytest.approx((10 + 100) / 2)
    assert forecast.remaining([LSTM], [(GRU, 50.0)]) == pytest.approx((10 + 400) / 2)
    forecast.ended(GRU, 60.0)
    assert forecast.remaining([sibling], []) == pytest.approx(60 / 2)
