"""Studies over several tasks, with trainings: merged tables, exceptions, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from study_texts import TRAINED_STUDY as STUDY

from gradprobe.errors import StudyFileError
from gradprobe.studies.grid import Cell, cells
from gradprobe.studies.reading import parse_study


def test_the_old_table_of_the_task_is_one_mistake() -> None:
    text = STUDY.replace('[[tasks]]\nlabel = "rows"\nname = "digits_rows"\n\n[[tasks]]', "[task]")
    with pytest.raises(StudyFileError) as caught:
        parse_study(text.split("[models.on", maxsplit=1)[0], "old.toml")
    assert str(caught.value) == (
        "old.toml: line 4: task: a study has a list of tasks now; write [[tasks]] in place of "
        "[task], its keys stay as they are"
    )


def test_the_same_task_twice_is_refused() -> None:
    text = STUDY.replace('skip = ["rows"]', "").replace(
        'name = "noise_padded_digits"\noptions = { length = 64 }\nlengths = [32, 64]\n'
        "training = { iterations = 30 }",
        'name = "digits_rows"',
    )
    expected = "tasks: 'padded' and 'rows' are the same task with the same options for 'GRU'"
    with pytest.raises(StudyFileError, match=expected):
        parse_study(text, "broken.toml")


def by_place(text: str) -> dict[tuple[str, str, int], Cell]:
    grid = cells(parse_study(text, "trained.toml"))
    return {(cell.label, cell.task, cell.seed): cell for cell in grid}


def protocol(cell: Cell) -> dict[str, Any]:
    training: dict[str, Any] = cell.specification["training"]
    return training


def test_the_grid_is_seed_by_seed_and_task_by_task_where_models_run() -> None:
    assert [place for place in by_place(STUDY) if place[2] == 0] == [
        ("LSTM", "rows", 0),
        ("Vanilla", "rows", 0),
        ("LSTM", "padded", 0),
        ("GRU", "padded", 0),
    ]
    assert len(by_place(STUDY)) == 8


def test_tables_are_merged_from_the_study_over_task_and_model_to_the_exception() -> None:
    found = by_place(STUDY)
    keys = ("optimizer", "learning_rate", "iterations", "batch_size")
    values = {place[:2]: [protocol(cell)[key] for key in keys] for place, cell in found.items()}
    assert values == {
        ("LSTM", "rows"): ["adagrad", 0.05, 20, 128],
        ("Vanilla", "rows"): ["adagrad", 0.1, 20, 128],
        ("LSTM", "padded"): ["sgd", 0.05, 10, 128],
        ("GRU", "padded"): ["adagrad", 0.1, 30, 128],
    }
    models = {place[:2]: cell.specification["model"] for place, cell in found.items()}
    assert models["LSTM", "rows"]["hidden_size"] == 4
    assert models["LSTM", "rows"]["options"] == {}
    assert models["LSTM", "padded"]["hidden_size"] == 5
    assert models["LSTM", "padded"]["options"] == {"forget_bias": 5.0}


def test_lengths_are_the_tasks_or_the_grids_or_the_whole_task() -> None:
    def lengths(text: str) -> dict[str, list[int]]:
        return {place[1]: cell.specification["lengths"] for place, cell in by_place(text).items()}

    assert lengths(STUDY) == {"rows": [8], "padded": [32, 64]}
    text = STUDY.replace("sequences = 2", "sequences = 2\nlengths = [8, 4]")
    assert lengths(text) == {"rows": [4, 8], "padded": [32, 64]}


def test_what_is_published_goes_with_the_cell_and_not_into_its_hash() -> None:
    found = by_place(STUDY)
    assert found["LSTM", "padded", 0].published == {
        "parameters": 68000,
        "source": "Table 1",
        "test_accuracy": 97.3,
    }
    assert found["LSTM", "rows", 0].published == {"parameters": 68000, "source": "Table 1"}
    assert found["GRU", "padded", 0].published == {}
    other = by_place(STUDY.replace("97.3", "50.0"))
    assert {cell.hash for cell in other.values()} == {cell.hash for cell in found.values()}


def test_only_the_cells_of_a_changed_training_are_new() -> None:
    before = by_place(STUDY)

    def changed(old: str, new: str) -> set[tuple[str, str]]:
        assert old in STUDY
        after = by_place(STUDY.replace(old, new))
        return {place[:2] for place in after if after[place].hash != before[place].hash}

    assert changed('optimizer = "sgd", iterations = 10', 'optimizer = "sgd", iterations = 11') == {
        ("LSTM", "padded")
    }
    assert changed("{ learning_rate = 0.05 }", "{ learning_rate = 0.06 }") == {
        ("LSTM", "rows"),
        ("LSTM", "padded"),
    }
    assert changed("training = { iterations = 30 }", "training = { iterations = 31 }") == {
        ("GRU", "padded")
    }
    assert len(changed("probe_at = [0]", "probe_at = [0, 10]")) == 4


def test_a_default_that_is_written_out_changes_nothing() -> None:
    before = by_place(STUDY)
    written = by_place(STUDY.replace("[training]", "[training]\nbatch_size = 128"))
    assert [cell.hash for cell in before.values()] == [cell.hash for cell in written.values()]


def test_without_a_table_of_training_nothing_is_trained() -> None:
    untrained = parse_study(
        'name = "a"\nquestion = "?"\n[[tasks]]\nname = "digits_rows"\n'
        "[grid]\nseeds = [0]\nsequences = 1\n"
        '[[models]]\nlabel = "GRU"\nname = "gru"\nhidden_size = 2\n[probes.gradient_norm]\n',
        "a.toml",
    )
    (cell,) = cells(untrained)
    assert not cell.trains
    assert cell.specification["lengths"] == [8]
    assert all(cell.trains for cell in by_place(STUDY).values())
