"""Cells that train: their tables, and what interruptions and kills leave of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
from fake_cells_study import wait_for
from patience import SECONDS_OF_PATIENCE

from gradprobe import frame, models, probes, tasks
from gradprobe.errors import CheckpointError, StoreError
from gradprobe.models.registry import MODELS
from gradprobe.seeds import stream_seed
from gradprobe.studies.cell import compute
from gradprobe.studies.grid import cells
from gradprobe.studies.measuring import measure, model_of
from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study
from gradprobe.studies.store import StudyResults, load, read_results
from gradprobe.studies.workplace import BEGINS_ANEW, Notes, Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAINED = """\
name = "trained"
question = "Do they learn?"

[[tasks]]
label = "rows"
name = "digits_rows"

[grid]
seeds = [0]
sequences = 2

[training]
optimizer = "adam"
learning_rate = 0.01
batch_size = 32
iterations = 200
validate_every = 50
record_every = 20
probe_at = [0, 100, "end"]

[[models]]
label = "GRU"
name = "gru"
hidden_size = 12
published = { test_accuracy = 98.0, source = "Table 1" }

[[models]]
label = "AntisymmetricRNN"
name = "antisymmetric"
hidden_size = 12
options = { step_size = 0.1 }

[probes.gradient_norm]
"""

SCRIPT = """\
import sys
from gradprobe.studies import load_study, run_study
from gradprobe.studies.interruption import InterruptedStudyError

if __name__ == "__main__":
    try:
        run_study(load_study("trained.toml"), "results", workers=2)
    except InterruptedStudyError as error:
        sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder = tmp_path_factory.mktemp("trained")
    assert run_study(parse_study(TRAINED, "trained.toml"), folder, workers=2).finished == 2
    assert sorted(path.name for path in folder.iterdir()) == ["results.sqlite", "writer.lock"]
    return read_results(folder)


def values(results: StudyResults, model: str, quantity: str) -> pd.Series[float]:
    table = results.table.query("model == @model and quantity == @quantity")
    return table.set_index("iteration")["value"]


def test_a_trained_cell_has_learned_and_says_how_far(results: StudyResults) -> None:
    for model in ("GRU", "AntisymmetricRNN"):
        (accuracy,) = values(results, model, "test_accuracy")
        assert 0.5 < accuracy <= 1.0
        losses = values(results, model, "train_loss")
        assert losses.index.tolist() == list(range(20, 201, 20))
        assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    assert set(results.table["task"]) == {"rows"}
    for record in results.cells:
        assert record.specification["training"]["iterations"] == 200
        assert 0 < record.seconds < SECONDS_OF_PATIENCE
    assert results.cells[0].published == {"test_accuracy": 98.0, "source": "Table 1"}


def test_probes_measure_at_the_iterations_asked_for(results: StudyResults) -> None:
    table = results.table.query("model == 'GRU' and probe == 'gradient_norm'")
    assert table["iteration"].unique().tolist() == [0, 100, 200]
    assert set(table["dtype"]) == {"float64"}
    norms = [group["value"].to_numpy() for _, group in table.groupby("iteration")]
    assert abs(norms[1] - norms[0]).max() > 0.01


def test_the_probes_at_initialisation_are_those_of_an_untrained_model(
    results: StudyResults,
) -> None:
    """But for the rounding of the initial values to the single precision of the training."""
    inputs, _ = tasks.build("digits_rows").draw(
        2, torch.Generator().manual_seed(stream_seed(0, "inputs"))
    )
    source = torch.Generator().manual_seed(stream_seed(0, "model"))
    model = models.build("gru", input_size=8, hidden_size=12, generator=source, dtype=torch.float64)
    source = torch.Generator().manual_seed(stream_seed(0, "probes"))
    expected = probes.probe(model, inputs, probes=["gradient_norm"], lengths=[8], generator=source)
    found = results.table.query("model == 'GRU' and probe == 'gradient_norm' and iteration == 0")
    assert found["value"].to_numpy() == pytest.approx(expected["value"].to_numpy(), abs=1e-4)


def test_sizes_are_counted_as_papers_do(results: StudyResults) -> None:
    found = results.table.query("probe == 'size' and model == 'AntisymmetricRNN'")
    assert found.set_index("quantity")["value"].to_dict() == {
        # n(n−1)/2 of W, nD of V, n of b
        "stored_parameters": 12 * 11 / 2 + 12 * 8 + 12,
        "degrees_of_freedom": 12 * 11 / 2 + 12 * 8 + 12,
        "readout_parameters": 12 * 10 + 10,
        "total": 12 * 11 / 2 + 12 * 8 + 12 + 130,
        "test_examples": tasks.build("digits_rows").size("test"),
        "validation_examples": tasks.build("digits_rows").size("validation"),
        "number_of_classes": 10,
    }
    assert set(found["iteration"]) == {0}


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run in a process group of its own, which is killed in the end."""
    (folder / "run.py").write_text(SCRIPT)
    (folder / "trained.toml").write_text(TRAINED)
    with subprocess.Popen(
        [sys.executable, "run.py"], cwd=folder, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def saved_at(paths: list[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_study_goes_on_inside_its_cells_to_the_same_table(
    tmp_path: Path, results: StudyResults, number: signal.Signals
) -> None:
    trained, folder = parse_study(TRAINED, "trained.toml"), tmp_path / "results"
    saved = [folder / "checkpoints" / f"{cell.hash}.pt" for cell in cells(trained)]
    with started(tmp_path) as process:
        wait_for(lambda: all(path.exists() for path in saved))  # before the probes
        before = saved_at(saved)
        os.killpg(process.pid, number)
        assert process.wait(timeout=SECONDS_OF_PATIENCE) == (
            -9 if number == signal.SIGKILL else 128 + number
        )
    if number != signal.SIGKILL:
        assert all(late > early for late, early in zip(saved_at(saved), before, strict=True))
    assert read_results(folder).cells == []

    assert run_study(trained, folder, workers=1).finished == 2
    assert not (folder / "checkpoints").exists()
    pd.testing.assert_frame_equal(load(folder), results.table, check_exact=True)


def test_a_checkpoint_with_other_initial_values_is_kept_aside_only_if_that_was_asked_for(
    tmp_path: Path,
) -> None:
    text = TRAINED.replace("iterations = 200", "iterations = 4").replace("100, ", "2, ")
    one, other = (
        cells(parse_study(text.replace("seeds = [0]", f"seeds = [{seed}]"), "x"))[0].specification
        for seed in (0, 1)
    )
    place = Workplace(tmp_path / "0a1b.pt")
    expected = compute(one, Workplace(tmp_path / "new.pt"))
    compute(other, place)
    before = place.checkpoint.read_bytes()
    with pytest.raises(CheckpointError, match="seed is 1 there and 0 here") as caught:
        compute(one, place)
    assert str(caught.value).endswith(f"{BEGINS_ANEW}: {place.checkpoint}")
    assert len(str(caught.value)) < 600
    assert place.checkpoint.read_bytes() == before
    found = compute(one, replace(place, begins_anew=True))
    assert place.aside.read_bytes() == before
    assert found is not None
    assert expected is not None
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
    again = compute(one, replace(place, begins_anew=True))  # its own checkpoint is not refused
    assert again is not None
    pd.testing.assert_frame_equal(again.table, expected.table, check_exact=True)
    assert place.aside.read_bytes() == before


def test_a_checkpoint_without_room_on_the_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradprobe.training.checkpoint.os.fsync", full)
    one = cells(parse_study(TRAINED.replace("iterations = 200", "iterations = 100"), "x"))[0]
    with pytest.raises(StoreError, match=r"no checkpoint can be written: No space .* make room"):
        compute(one.specification, Workplace(tmp_path / "0a1b.pt"))
    assert list(tmp_path.iterdir()) == [tmp_path / "0a1b.json"]  # nothing half-written is left


def test_a_training_says_what_takes_time_between_two_iterations(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []

    class Listening(Notes):
        def take(self, iteration: int, *others: Any) -> None:
            told.append((iteration, others[-1]))

    text = TRAINED.replace("iterations = 200", "iterations = 3").replace("100, ", "")
    text = text.replace("validate_every = 50", "validate_every = 2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradprobe.studies.trained_cell.Notes", Listening)
        compute(cells(parse_study(text, "x"))[0].specification, Workplace(tmp_path / "0a1b.pt"))
    last = [(3, "validating"), (3, "probing"), (3, "testing"), (3, "training")]
    assert told == [(0, "probing"), (1, "training"), (2, "validating"), (2, "training"), *last]


@pytest.mark.parametrize("name", MODELS)
def test_a_trained_model_is_probed_with_the_values_it_has(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision, whatever its parameters are: complex, parametrised, stacked."""
    seen: list[models.RecurrentModel] = []

    def look(model: models.RecurrentModel, inputs: torch.Tensor, **options: Any) -> pd.DataFrame:
        seen.append(model)
        return frame.rows(value=0.0)

    monkeypatch.setattr(probes, "probe", look, raising=False)
    specification = {
        "model": {"name": name, "hidden_size": 4, "num_layers": 2, "options": {}},
        "task": {"name": "digits_rows", "options": {}},
        **{"seed": 0, "dtype": "float64", "sequences": 1, "split": "train"},
        **{"probes": {}, "lengths": [8]},
    }
    model = model_of(specification, torch.float32)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=source))
    measure(specification, model)
    inputs = torch.randn(5, 3, 8, generator=source)
    expected, _ = model(inputs)
    found, _ = seen[0](inputs.double())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-5)
