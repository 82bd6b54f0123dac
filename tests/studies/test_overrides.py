"""Changes of a study file from the command line: what is run is what the text then says."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from study_texts import SWEPT_STUDY, TRAINED_STUDY

from gradprobe.errors import StudyFileError
from gradprobe.listing import shipped_study_files
from gradprobe.studies.grid import cells
from gradprobe.studies.overrides import overridden, parse_override
from gradprobe.studies.reading import load_study, parse_study

if TYPE_CHECKING:
    from pathlib import Path


def changed(text: str, *overrides: str) -> dict[str, Any]:
    changes = [parse_override(each) for each in overrides]
    return tomllib.loads(overridden(text, changes, "study.toml"))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.iterations=10", ["training", "iterations"], 10),
        ("training.optimizer=adam", ["training", "optimizer"], "adam"),
        ('training.optimizer="adam"', ["training", "optimizer"], "adam"),
        ("training.learning_rate = 1e-3", ["training", "learning_rate"], 1e-3),
        ("grid.seeds=[0, 5]", ["grid", "seeds"], [0, 5]),
        ("models.LSTM.hidden_size=9", ["models", 0, "hidden_size"], 9),
        ('models."LSTM".hidden_size=9', ["models", 0, "hidden_size"], 9),
        ("models[2].hidden_size=9", ["models", 2, "hidden_size"], 9),
        ("models.GRU.options.bias=true", ["models", 2, "options", "bias"], True),
        (
            "models.LSTM.on.padded.training.iterations=7",
            ["models", 0, "on", "padded", "training", "iterations"],
            7,
        ),
        ("tasks.padded.options.length=100", ["tasks", 1, "options", "length"], 100),
        ("probes.condition={ x = 'a' }", ["probes", "condition", "x"], "a"),
        ("sweep.training.learning_rate=[0.1, 1]", ["sweep", "training", "learning_rate"], [0.1, 1]),
        ("models[1]=0", ["models", 1], 0),
        ("grid=3", ["grid"], 3),
        ("tasks={ a = 1 }", ["tasks"], {"a": 1}),
        ('question="Does a = b?"', ["question"], "Does a = b?"),
    ],
)
def test_one_key_is_changed_and_nothing_else(override: str, path: list[Any], value: object) -> None:
    expected = tomllib.loads(TRAINED_STUDY)
    place = expected
    for part in path[:-1]:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    place[path[-1]] = value
    assert changed(TRAINED_STUDY, override) == expected


def test_a_label_with_dots_spaces_and_equal_signs_is_quoted() -> None:
    text = TRAINED_STUDY.replace('"GRU"', '"GRU 2.0, ε = 1"')
    tables = changed(text, 'models."GRU 2.0, ε = 1".num_layers=2')
    assert tables["models"][2]["num_layers"] == 2


def test_without_a_label_all_models_are_changed() -> None:
    tables = changed(TRAINED_STUDY, "models.hidden_size=9", "models.options.bias=1")
    assert [model["hidden_size"] for model in tables["models"]] == [9, 9, 9]
    assert [model["options"] for model in tables["models"]] == [{"bias": 1}] * 3


def test_later_changes_come_over_earlier_ones() -> None:
    tables = changed(TRAINED_STUDY, "grid.sequences=5", "grid={ seeds = [1] }", "grid.sequences=6")
    assert tables["grid"] == {"seeds": [1], "sequences": 6}


@pytest.mark.parametrize("path", shipped_study_files(), ids=lambda path: path.stem)
def test_comments_of_shipped_files_survive(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    after = overridden(text, [parse_override("grid.seeds=[7]")], "study.toml")
    assert after.splitlines()[0] == "# gradprobe run study.toml --set 'grid.seeds=[7]'"
    lines = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line.startswith("#")][1:] == lines


def test_the_changed_text_is_what_is_stored_and_gives_the_same_cells(tmp_path: Path) -> None:
    path = tmp_path / "trained.toml"
    path.write_text(TRAINED_STUDY)
    study = load_study(path, ["training.iterations=3", "models.LSTM.on.padded.hidden_size=6"])
    again = parse_study(study.text, "stored")
    assert [cell.hash for cell in cells(again)] == [cell.hash for cell in cells(study)]
    lstm = [cell for cell in cells(again) if (cell.label, cell.task) == ("LSTM", "padded")]
    assert lstm[0].specification["model"]["hidden_size"] == 6
    assert cells(study)[0].specification["training"]["iterations"] == 3
    assert f"gradprobe run {path} --set training.iterations=3 --set models" in study.text


def test_a_sweep_is_cut_down(tmp_path: Path) -> None:
    path = tmp_path / "swept.toml"
    path.write_text(SWEPT_STUDY)
    study = load_study(path, ["sweep.training.learning_rate=[1.0]", "grid.seeds=[0]"])
    assert len(cells(study)) == 2 * 4


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("iterations", "--set iterations: expected KEY=VALUE, for example training.iterations=10"),
        ("=3", "--set =3: expected KEY=VALUE"),
        ("a..b=3", "--set a..b=3: expected KEY=VALUE"),
        ("grid.seeds=[0", "--set grid.seeds=[0: expected a value in TOML's notation, such as"),
        ("grid.seeds=", "--set grid.seeds=: expected a value in TOML's notation"),
        ("grid.sequences=1\nx = 2", "expected a value in TOML's notation"),
        (
            "models.LTSM.hidden_size=3",
            "study.toml: --set models.LTSM.hidden_size=3: none of the models is called 'LTSM'; "
            "they are: LSTM, Vanilla, GRU; did you mean 'LSTM'?",
        ),
        ("models[9].hidden_size=3", "models has 3 entries, got [9], counted from 0"),
        ("grid[0].x=3", "grid has no entries, got [0], counted from 0"),
        ("name.first=3", "name is no table, so that it has no key 'first'"),
        ("grid.seeds.first=3", "grid.seeds is no table, so that it has no key 'first'"),
        (
            "training.iteratons=3",
            "study.toml with --set training.iteratons=3: training.iteratons: unknown key; ",
        ),
        ("training.iteratons=3", "; did you mean 'iterations'?"),
        ("model.LSTM.hidden_size=3", "model: unknown key; expected one of name, question, "),
        ("model.LSTM.hidden_size=3", "; did you mean 'models'?"),
        ("models.hiden_size=3", "models[0].hiden_size (LSTM): unknown key; expected one of label"),
        ("grid.sequences=two", "grid.sequences: expected a valid integer, got 'two'"),
    ],
)
def test_a_wrong_change_is_named(
    override: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TRAINED_STUDY)
    with pytest.raises(StudyFileError) as caught:
        load_study("study.toml", [override])
    assert expected in str(caught.value)
