"""Studies over several tasks, with trainings: merged tables, exceptions, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gradprobe.errors import StudyFileError
from gradprobe.studies.grid import Cell, cells
from gradprobe.studies.reading import parse_study

STUDY = """\
name = "trained"
question = "Which model learns?"

[[tasks]]
label = "rows"
name = "digits_rows"

[[tasks]]
label = "padded"
name = "noise_padded_digits"
options = { length = 64 }
lengths = [32, 64]
training = { iterations = 30 }

[grid]
seeds = [0, 1]
sequences = 2

[training]
optimizer = "adagrad"
learning_rate = 0.1
iterations = 20
probe_at = [0]

[[models]]
label = "LSTM"
name = "lstm"
hidden_size = 4
training = { learning_rate = 0.05 }
published = { parameters = 68000, source = "Table 1" }

[models.on.padded]
hidden_size = 5
options = { forget_bias = 5.0 }
training = { optimizer = "sgd", iterations = 10 }
published = { test_accuracy = 97.3 }

[[models]]
label = "Vanilla"
name = "vanilla"
hidden_size = 4
only = ["rows"]

[[models]]
label = "GRU"
name = "gru"
hidden_size = 4
skip = ["rows"]

[probes.gradient_norm]
"""

CASES = {
    "the table of older files": (
        '[[tasks]]\nlabel = "rows"\nname = "digits_rows"\n\n[[tasks]]',
        "[task]",
        "task: a study has a list of tasks now; write [[tasks]] in place of [task], its keys stay",
    ),
    "unknown key of a task": (
        'name = "digits_rows"',
        'name = "digits_rows"\nsplit = "train"',
        "tasks[0].split (rows): unknown key; expected one of label, name, options, lengths, train",
    ),
    "repeated label of a task": (
        'label = "rows"',
        'label = "padded"',
        "tasks: each must stand once, padded is repeated",
    ),
    "a task without a name": (
        'label = "rows"\nname = "digits_rows"',
        'label = "rows"',
        "tasks[0].name (rows): missing; this key is required",
    ),
    "lengths beyond one of the tasks": (
        "lengths = [32, 64]",
        "lengths = [32, 65]",
        "tasks[1].lengths (padded): expected at most the 64 steps of task 'padded', got 65",
    ),
    "lengths of the grid beyond one of the tasks": (
        "sequences = 2",
        "sequences = 2\nlengths = [9]",
        "grid.lengths: expected at most the 8 steps of task 'rows', got 9",
    ),
    "the same cell twice": (
        'name = "vanilla"\nhidden_size = 4\nonly = ["rows"]',
        'name = "gru"\nhidden_size = 4',
        "models: 'GRU' and 'Vanilla' are the same model with the same options on task 'padded'",
    ),
    "unknown task in only": (
        'only = ["rows"]',
        'only = ["columns"]',
        "models[1].only (Vanilla): no task is called 'columns'; the tasks are: rows, padded",
    ),
    "unknown task in skip": (
        'skip = ["rows"]',
        'skip = ["digits_rows"]',
        "models[2].skip (GRU): no task is called 'digits_rows'; the tasks are: rows, padded",
    ),
    "unknown task of an exception": (
        "[models.on.padded]",
        "[models.on.noise]",
        "models[0].on (LSTM): no task is called 'noise'; the tasks are: rows, padded",
    ),
    "an exception for a task that is skipped": (
        'label = "LSTM"',
        'label = "LSTM"\nskip = ["padded"]',
        "models[0].on (LSTM): the model does not run on task 'padded'",
    ),
    "only and skip": (
        'skip = ["rows"]',
        'skip = ["rows"]\nonly = ["padded"]',
        "models[2].skip (GRU): expected either only or skip, got both",
    ),
    "no task left": (
        'skip = ["rows"]',
        'skip = ["rows", "padded"]',
        "models[2] (GRU): runs on no task; the tasks are: rows, padded",
    ),
    "unknown key of an exception": (
        "hidden_size = 5",
        "hiden_size = 5",
        "models[0].on.padded.hiden_size (LSTM): unknown key; expected one of hidden_size, options,",
    ),
    "unknown key of the training": (
        "[training]",
        "[training]\nrate = 1",
        "training.rate: unknown key; expected one of optimizer, learning_rate, momentum, batch",
    ),
    "unknown key of a model's training": (
        "{ learning_rate = 0.05 }",
        "{ learningrate = 0.05 }",
        "models[0].training.learningrate (LSTM): unknown key; expected one of optimizer, learning",
    ),
    "wrong type in an exception's training": (
        'optimizer = "sgd", iterations = 10',
        'optimizer = "sgd", iterations = "10"',
        "models[0].on.padded.training.iterations (LSTM): expected a valid integer, got '10'",
    ),
    "unknown optimizer": (
        '"adagrad"',
        '"adagrd"',
        "training.optimizer: expected 'sgd', 'adagrad', 'adam' or 'rmsprop', got 'adagrd'",
    ),
    "exceptions to no training": (
        '[training]\noptimizer = "adagrad"\nlearning_rate = 0.1\niterations = 20\nprobe_at = [0]\n',
        "",
        "models[0].training (LSTM): the study trains nothing; add a table [training], which may be",
    ),
    "probes that never measure": (
        "probe_at = [0]",
        "probe_at = []",
        "training.probe_at: expected the iterations to probe at, 0 for the initialisation;",
    ),
    "more sequences than a task has": (
        "sequences = 2",
        "sequences = 9999",
        "grid.sequences: expected at most the 1197 examples of split 'train' of task 'rows'",
    ),
    "larger batches than a task has": (
        "iterations = 20",
        "iterations = 20\nbatch_size = 9999",
        "training.batch_size: expected at most the 1197 training examples of task 'rows', got",
    ),
    "keys that do not go together": (
        'optimizer = "adagrad"',
        'optimizer = "adagrad"\nmomentum = 0.9',
        "training: momentum is an option of sgd and rmsprop, got 0.9 with adagrad (LSTM on rows)",
    ),
    "unknown key of what is published": (
        "{ test_accuracy = 97.3 }",
        "{ accuracy = 97.3 }",
        "models[0].on.padded.published.accuracy (LSTM): unknown key; expected one of test_accuracy",
    ),
    "a published accuracy beyond 100 %": (
        "{ test_accuracy = 97.3 }",
        "{ test_accuracy = 973 }",
        "models[0].on.padded.published.test_accuracy (LSTM): expected less than or equal to 100,",
    ),
    "a size among an exception's options": (
        "{ forget_bias = 5.0 }",
        "{ hidden_size = 5 }",
        "models[0].on.padded.options (LSTM): hidden_size is set beside them, not among the options",
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES)
def test_a_mistake_is_named(before: str, after: str, expected: str) -> None:
    assert before in STUDY
    with pytest.raises(StudyFileError) as caught:
        parse_study(STUDY.replace(before, after), "broken.toml")
    first, *others = str(caught.value).splitlines()
    mistakes = [line.strip() for line in others] or [first.removeprefix("broken.toml: ")]
    assert first.startswith("broken.toml: ")
    assert [mistake for mistake in mistakes if mistake.startswith(expected)], mistakes


def test_the_old_table_of_the_task_is_one_mistake() -> None:
    text = STUDY.replace('[[tasks]]\nlabel = "rows"\nname = "digits_rows"\n\n[[tasks]]', "[task]")
    with pytest.raises(StudyFileError) as caught:
        parse_study(text.split("[models.on", maxsplit=1)[0], "old.toml")
    assert str(caught.value) == (
        "old.toml: task: a study has a list of tasks now; write [[tasks]] in place of [task], its "
        "keys stay as they are"
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
