"""The options of gradprobe run: changes, a plan without a run, and how much is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_in_process import gradprobe

from gradprobe import studies
from gradprobe.studies.estimate import cost_in_words, grid_in_words
from gradprobe.studies.grid import cells
from gradprobe.studies.price import Price
from gradprobe.studies.writer import Stored

if TYPE_CHECKING:
    from pathlib import Path

STUDY = """\
name = "options"
question = "Which bias lets gradients survive?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = [0, 1]
lengths = [8]
sequences = 1
[[models]]
label = "LSTM, bias {forget_bias}"
name = "lstm"
hidden_size = 2
sweep.options.forget_bias = [1.0, 5.0]
[[models]]
label = "GRU"
name = "gru"
hidden_size = 2
[probes.gradient_norm]
"""
TRAINING = "\n[training]\niterations = 50\nbatch_size = 8\nvalidate_every = 25\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.toml").write_text(STUDY)
    (tmp_path / "trained.toml").write_text(STUDY.replace('"options"', '"trained"') + TRAINING)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_a_changed_study_is_run_told_in_json_stored_and_merged_with_its_parameters() -> None:
    result = gradprobe(
        "run", "options.toml", "--log", "json", "--set", "grid.seeds=[7]", "--workers", "1"
    )
    assert (result.exit_code, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events[:2]] == ["checking", "planned"]
    assert events[-1]["path"] == "results/options/report.html"
    ended = [event for event in events if event["event"] == "ended"]
    assert {event["parameters"].get("forget_bias") for event in ended} == {1.0, 5.0, None}
    stored = studies.read_results("results/options").study
    assert stored.text.splitlines()[0] == "# gradprobe run options.toml --set 'grid.seeds=[7]'"
    assert stored.grid.seeds == (7,)
    parameters = studies.parameters("results/options")
    assert parameters["forget_bias"].tolist()[:2] == [1.0, 5.0]
    assert parameters["forget_bias"].isna().tolist() == [False, False, True]
    table = studies.load("results/options").merge(parameters, on=["model", "task"])
    assert len(table) == len(studies.load("results/options"))
    assert set(table.query("forget_bias == 5")["model"]) == {"LSTM, bias 5"}


@pytest.mark.parametrize("file", ["options.toml", "trained.toml"])
def test_a_plan_tells_the_grid_and_its_cost_and_writes_nothing(here: Path, file: str) -> None:
    before = sorted(here.iterdir())
    result = gradprobe("run", file, "--dry-run", "--workers", "2")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"{file[:-5]}: 6 cells = 3 models × 1 task × 2 seeds"
    assert lines[1] == "  model 'LSTM, bias {forget_bias}': forget_bias (2) = 2"
    assert lines[2].split() == ["1.", "LSTM,", "bias", "1", "on", "digits_rows,", "seed", "0"]
    assert lines[8] == f"results/{file[:-5]}: 0 finished, 0 failed, 6 to compute"
    assert lines[9].startswith("about ")
    assert " on 2 workers, probably between " in lines[9]
    assert "from a few steps of 2 cells" in lines[10]
    assert sorted(here.iterdir()) == before


@pytest.mark.usefixtures("here")
def test_a_plan_refuses_what_the_run_would() -> None:
    result = gradprobe("run", "options.toml", "--dry-run", "--set", "models.GRU.options.bias=1")
    assert result.exit_code == 2
    assert "model 'gru' has no option 'bias'" in result.stderr
    result = gradprobe("run", "options.toml", "--dry-run", "-q", "-v")
    assert result.exit_code == 2
    assert result.stderr == "gradprobe: error: give either --quiet or --verbose\n"


def test_a_plan_counts_what_is_stored(here: Path) -> None:
    study = studies.load_study(here / "options.toml")
    grid = cells(study)
    stored = Stored({cell.hash for cell in grid[:3]}, {grid[3].hash: "overflow"})
    last = list(grid_in_words(study, stored, "results/options"))[-1]
    assert last == "results/options: 3 finished, 1 failed, 2 to compute"


def test_the_cost_is_each_kind_times_its_cells(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An LSTM of 2 s and a GRU of 1 s: four and two cells, on two workers, are 5 s."""

    def price(specification: dict[str, dict[str, str]]) -> Price:
        seconds = {"lstm": 2.0, "gru": 1.0}[specification["model"]["name"]]
        return Price(seconds, seconds / 2, seconds * 2)

    monkeypatch.setattr("gradprobe.studies.pricing.price", price)
    study = studies.load_study(here / "trained.toml")
    first, second = cost_in_words(study, cells(study), workers=2)
    assert first == "about 5 s on 2 workers, probably between 2 s and 13 s"
    assert "from a few steps of 2 cells" in second


def test_missing_data_are_told_in_place_of_a_cost(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADPROBE_DATA", str(here / "empty"))
    text = STUDY.replace("digits_rows", "pixel_mnist")
    (here / "mnist.toml").write_text(text)
    result = gradprobe("run", "mnist.toml", "--dry-run")
    assert result.exit_code == 0
    assert "cannot be measured without the data" in result.stdout
    assert "gradprobe data fetch mnist" in result.stdout
