"""What a run shows: lines in a file, a display on a terminal."""

from __future__ import annotations

import io
import json
import pty
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from gradprobe.studies.event_log import EventLog
from gradprobe.studies.forecast import Forecast, sibling_key
from gradprobe.studies.grid import Cell
from gradprobe.studies.live_progress import LiveReporter
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.progress import PlainReporter, Reporter, in_words
from gradprobe.studies.reporters import reporter
from gradprobe.studies.workplace import Note, Notes, read_note

GRU = Cell("GRU [red]", {"model": "gru", "seed": 3})
LSTM = Cell("LSTM", {"model": "lstm", "seed": 3})
DONE = Outcome("", "", 65.2, encoded_table=b"table")
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
        "[4/5] failed: LSTM, seed 3, 2 s: overflow; time left: not known yet",
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
        "Stopping: trainings write checkpoints; Ctrl-C again ends them at once",
    ]


def test_what_takes_time_between_iterations_is_told() -> None:
    """Or a training whose last probes take minutes would look as if it had stopped."""
    stream, now, note = io.StringIO(), [100.0], Note(30, 30, 2.0, activity="probing")
    with PlainReporter(stream, clock=lambda: now[0]) as monitor:
        monitor.begun(GRU)
        now[0] = 131.0
        monitor.progressed(GRU, note)
        monitor.progressed(GRU, Note(0, 30, None, activity="probing"))
        now[0] = 162.0
        monitor.progressed(GRU, Note(20, 30, 2.0, "validation_loss", 0.5, "validating"))
        monitor.keeping(GRU, Path("0a1b.pt.refused"))
    assert stream.getvalue().splitlines()[1:] == [
        "training: GRU [red], seed 3: 30/30 iterations, probing",
        "training: GRU [red], seed 3: 20/30 iterations, validating, validation_loss 0.5, "
        "about 5 s left",
        "if its checkpoint is refused again, it is kept as 0a1b.pt.refused until the training, "
        "which then begins anew, has ended: GRU [red], seed 3",
    ]
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with LiveReporter(console) as live:
        live.planned(1, 0)
        live.begun(GRU)
        live.progressed(GRU, note)
        (line,) = [line for line in shown(live, 120) if "seed" in line]
    assert "30/30  probing" in line
    assert "left" not in line
    events = io.StringIO()
    EventLog(events).progressed(GRU, note)
    assert json.loads(events.getvalue())["activity"] == "probing"


def test_probes_are_noted_at_once_and_do_not_slow_the_rate_down(tmp_path: Path) -> None:
    now, path = [0.0], tmp_path / "0a1b.json"
    notes = Notes(path, clock=lambda: now[0])
    notes.take(0, 100, activity="probing")
    assert read_note(path) == Note(0, 100, None, activity="probing")
    for second in range(11):
        now[0] = 1000.0 + second
        notes.take(1 + 2 * second, 100)
    assert read_note(path) == Note(21, 100, 2.0)
    notes.take(21, 100, "validation_loss", 0.5, "probing")
    assert read_note(path) == Note(21, 100, 2.0, "validation_loss", 0.5, "probing")
    for second in range(2):
        now[0] = 5000.0 + second
        notes.take(22 + 2 * second, 100)
    assert read_note(path) == Note(24, 100, 2.0)


def test_no_time_is_promised_for_the_probes_after_the_last_iteration() -> None:
    forecast = Forecast({sibling_key(GRU): 1.0}, workers=1)
    forecast.noted(GRU, Note(0, 30, None, activity="probing"))
    assert forecast.remaining([], [(GRU, 5.0)]) is None
    forecast.noted(GRU, Note(15, 30, 1.0))
    assert forecast.remaining([], [(GRU, 20.0)]) == 15.0
    forecast.noted(GRU, Note(30, 30, 1.0, activity="probing"))
    assert forecast.remaining([], [(GRU, 28.0)]) == 2.0  # of the thirty that its iterations take


def test_an_interruption_loses_no_line() -> None:
    stream = io.StringIO()
    with suppress(KeyboardInterrupt), PlainReporter(stream) as monitor:
        monitor.planned(1, 0)
        monitor.ended(GRU, DONE)
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "[1/1] finished: GRU [red], seed 3, 1 min 5 s"


def shown(monitor: LiveReporter, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(monitor.display)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [120, 80])
def test_a_terminal_shows_what_is_running_with_rates_and_the_time_left(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    now = [0.0]
    long = Cell("AntisymmetricRNN, σ_w = 8, ε = 0.01, γ = 0.01, rate 0.75", {"seed": 0})
    with LiveReporter(console, clock=lambda: now[0]) as monitor:
        monitor.planned(5, 2)
        monitor.begun(GRU)
        monitor.begun(LSTM)
        monitor.begun(long)
        monitor.progressed(GRU, Note(250, 1000, 5.0, "validation_accuracy", 0.5))
        monitor.progressed(long, Note(250, 1000, 5.0))
        now[0] = 30.0
        monitor.ended(LSTM, FAILED)
        monitor.remaining(130.0)
        lines = shown(monitor, width)
    assert "3/5, 1 failed, 2 per minute" in lines[0]
    assert "about 2 min 10 s left" in lines[0] + lines[1]
    gru, antisymmetric = [line for line in lines if "seed" in line or "Anti" in line]
    assert "GRU [red], seed 3" in gru
    assert "250/1000  5/s" in gru
    assert "2 min 30 s left" in gru
    assert ("validation_accuracy 0.5" in gru) == (width > 100)
    assert "Anti" in antisymmetric
    assert "…" in antisymmetric  # what does not fit is cut, in one line
    assert max(len(line.rstrip()) for line in lines) <= width - 3  # a terminal shows ^C there


def test_cells_that_fail_are_told_above_the_display_and_all_if_verbose() -> None:
    for verbose in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=120, color_system=None)
        with LiveReporter(console, verbose=verbose) as monitor:
            monitor.planned(2, 0)
            monitor.begun(GRU)
            monitor.ended(GRU, DONE)
            monitor.begun(LSTM)
            monitor.retried(LSTM, "it was killed")
            monitor.begun(LSTM)
            monitor.ended(LSTM, FAILED)
        assert "failed: LSTM, seed 3, 2 s: overflow" in stream.getvalue()
        assert "tried again: LSTM, seed 3: it was killed" in stream.getvalue()
        assert ("finished: GRU [red], seed 3, 1 min 5 s" in stream.getvalue()) == verbose


def test_nothing_is_shown_if_nothing_is_wished(capfd: pytest.CaptureFixture[str]) -> None:
    with reporter(sys.stderr, "quiet") as monitor:
        assert type(monitor) is Reporter
        monitor.planned(1, 0)
        monitor.begun(GRU)
        monitor.ended(GRU, FAILED)
    assert capfd.readouterr() == ("", "")


def test_verbose_lines_tell_the_hash_that_names_a_cell() -> None:
    stream, now = io.StringIO(), [0.0]
    with PlainReporter(stream, clock=lambda: now[0], verbose=True) as monitor:
        monitor.planned(1, 0)
        monitor.begun(GRU)
        for second in range(12):
            now[0] = float(second)
            monitor.progressed(GRU, Note(second, 100, 1.0))
    lines = stream.getvalue().splitlines()
    assert lines[1] == f"begun: GRU [red], seed 3 ({GRU.hash[:12]})"
    assert sum(line.startswith("training: ") for line in lines) == 2  # every five seconds


def test_events_are_lines_of_json() -> None:
    stream, now = io.StringIO(), [0.0]
    cell = Cell("LSTM (bias=5)", {"seed": 3}, task="MNIST", parameters={"bias": 5.0})
    with EventLog(stream, clock=lambda: now[0]) as monitor:
        monitor.checking()
        monitor.planned(5, 2)
        monitor.begun(cell)
        monitor.progressed(cell, Note(250, 1000, 5.0, "validation_loss", float("nan")))
        monitor.retried(cell, "it was killed")
        monitor.ended(cell, FAILED)
        for second in range(12):
            now[0] = float(second)
            monitor.remaining(130.0)
        monitor.queueing("another run")
        monitor.stopping()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        *("checking", "planned", "begun", "progressed", "retried", "ended"),
        *("remaining", "remaining", "queueing", "stopping"),
    ]
    identity = {
        "cell": cell.hash,
        "model": "LSTM (bias=5)",
        "task": "MNIST",
        "seed": 3,
        "parameters": {"bias": 5.0},
    }
    assert identity.items() <= events[2].items()
    assert {"iteration": 250, "value": None, "seconds_left": 150.0}.items() <= events[3].items()
    assert {**identity, "status": "failed", "error": "overflow"}.items() <= events[5].items()
    assert all(datetime.fromisoformat(event["time"]).tzinfo is UTC for event in events)


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
