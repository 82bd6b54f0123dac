"""Sweeps of a study file: every combination is a cell, the same as if it were written out."""

from __future__ import annotations

import tomllib

import pytest
from study_texts import SMALL_STUDY, SWEPT_STUDY, TRAINED_STUDY

from gradprobe.errors import ArgumentError, StudyFileError
from gradprobe.studies.expansion import expanded
from gradprobe.studies.grid import cells, digest
from gradprobe.studies.lines import key_lines, line_of
from gradprobe.studies.reading import parse_study
from gradprobe.studies.schema import Study

WRITTEN_OUT = """\
name = "swept"
question = "Which initialisation learns?"

[[tasks]]
label = "T = 64"
name = "noise_padded_digits"
options = { length = 64 }

[grid]
seeds = [0, 1]
sequences = 2

[training]
iterations = 20

[[models]]
label = "the last"
name = "antisymmetric"
hidden_size = 4
options = { step_size = 0.1, diffusion = 0.1 }
training = { learning_rate = 1.0 }

[probes.gradient_norm]
"""


def test_the_grid_is_the_product_in_the_order_of_the_file() -> None:
    grid = cells(parse_study(SWEPT_STUDY, "swept.toml"))
    assert len(grid) == 2 * 2 * (2 + 2) * 2
    assert [(cell.seed, cell.task, cell.label) for cell in grid[:9]] == [
        (0, "padded (length=32)", "LSTM (forget_bias=1, learning_rate=0.1)"),
        (0, "padded (length=32)", "LSTM (forget_bias=1, learning_rate=1)"),
        (0, "padded (length=32)", "LSTM (forget_bias=5, learning_rate=0.1)"),
        (0, "padded (length=32)", "LSTM (forget_bias=5, learning_rate=1)"),
        (0, "padded (length=32)", "Antisymmetric, γ = 0 (learning_rate=0.1)"),
        (0, "padded (length=32)", "Antisymmetric, γ = 0 (learning_rate=1)"),
        (0, "padded (length=32)", "Antisymmetric, γ = 0.1 (learning_rate=0.1)"),
        (0, "padded (length=32)", "Antisymmetric, γ = 0.1 (learning_rate=1)"),
        (0, "padded (length=64)", "LSTM (forget_bias=1, learning_rate=0.1)"),
    ]
    assert grid[2].parameters == {"length": 32, "forget_bias": 5.0, "learning_rate": 0.1}
    assert "diffusion" not in grid[2].parameters
    assert len({cell.hash for cell in grid}) == len(grid)


def test_a_swept_cell_is_the_cell_that_one_would_write() -> None:
    swept, written = (cells(parse_study(text, "study.toml")) for text in (SWEPT_STUDY, WRITTEN_OUT))
    assert written[1].hash == swept[-1].hash
    assert written[1].specification == swept[-1].specification


def test_every_key_of_a_training_and_every_size_can_be_swept() -> None:
    text = SWEPT_STUDY.replace(
        "training.learning_rate = [0.1, 1.0]",
        'training.learning_rate = [0.1]\ntraining.optimizer = ["sgd", "adam"]\n'
        'training.probe_at = [[0], [0, "end"]]\nmodels.hidden_size = [2, 3]',
    ).replace("\nhidden_size = 4", "")
    grid = cells(parse_study(text, "swept.toml"))
    assert len(grid) == 2 * 2 * (2 + 2) * 2 * 2 * 2
    last = grid[-1]
    assert last.specification["model"]["hidden_size"] == 3
    assert last.specification["training"]["optimizer"] == "adam"
    assert last.specification["training"]["probe_at"] == [0, "end"]
    assert last.label == (
        "Antisymmetric, γ = 0.1 (hidden_size=3, optimizer=adam, learning_rate=0.1, "
        'probe_at=[0, "end"])'
    )


def test_keys_that_end_alike_are_called_by_their_whole_names() -> None:
    text = SWEPT_STUDY.replace("options.forget_bias = [1.0, 5.0]", "training.momentum = [0.0]")
    text = text.replace("options.diffusion = [0.0, 0.1]", "options.momentum = [0.0]")
    text = text.replace("{diffusion}", "{models.options.momentum}")
    labels = [cell.label for cell in cells(parse_study(text, "swept.toml"))]
    assert labels[0] == "LSTM (models.training.momentum=0, learning_rate=0.1)"
    assert labels[2] == "Antisymmetric, γ = 0 (learning_rate=0.1)"


def test_long_values_are_told_by_their_number() -> None:
    matrices = "[[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 2.0]]]"
    text = SWEPT_STUDY.replace("forget_bias = [1.0, 5.0]", f"matrix = {matrices}")
    labels = [cell.label for cell in cells(parse_study(text, "swept.toml"))]
    assert labels[:3:2] == [
        "LSTM (matrix=no. 1, learning_rate=0.1)",
        "LSTM (matrix=no. 2, learning_rate=0.1)",
    ]


def test_exceptions_and_choices_of_tasks_name_the_label_in_the_file() -> None:
    text = SWEPT_STUDY.replace(
        'name = "lstm"\n', 'name = "lstm"\nonly = ["padded"]\non.padded.num_layers = 2\n'
    )
    with pytest.raises(StudyFileError, match="unknown key; expected one of hidden_size, options"):
        parse_study(text, "swept.toml")
    grid = cells(parse_study(text.replace("num_layers = 2", "hidden_size = 9"), "swept.toml"))
    sizes = {(cell.task, cell.specification["model"]["hidden_size"]) for cell in grid}
    assert sizes == {(f"padded (length={length})", size) for length in (32, 64) for size in (4, 9)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALL_STUDY, "f4c6d56e4cdb6886"),
        (TRAINED_STUDY, "3810cd2c1027b7c0"),
    ],
)
def test_the_hashes_of_cells_have_not_changed(text: str, expected: str) -> None:
    """A finished cell in anybody's store is known by its hash."""
    hashes = [cell.hash for cell in cells(parse_study(text, "study.toml"))]
    assert digest(hashes)[:16] == expected


def test_a_sweep_is_never_left_out_silently() -> None:
    written = Study.model_validate(tomllib.loads(SWEPT_STUDY))
    with pytest.raises(ArgumentError, match="whose sweeps are carried out"):
        cells(written)
    study, mistakes = expanded(written)
    assert (len(cells(study)), mistakes) == (32, [])


def test_every_key_of_a_file_is_found_in_its_line() -> None:
    text = '''\
name = "a # [b]"
text = """
[no.table]
no = "key"
"""
"quoted key" . 'and another' = [
  "[no.table]",  # [[nor.this]]
  { no = "key" },
]
[[models]]
on.MNIST.options = { bias = 1 }
[models.options]
bias = 2
[[models]]
[[models.inner]]
[models.inner.deep]
x = 1
'''
    tables = tomllib.loads(text)
    assert len(tables["models"]) == 2
    lines = key_lines(text)
    keys = {key: line_of(key, lines) for key in ("name", "text", "models[0].options.bias")}
    assert keys == {"name": 1, "text": 2, "models[0].options.bias": 13}
    assert lines["quoted key", "and another"] == 6
    assert line_of("models[0].on.MNIST.options.bias (GRU)", lines) == 11
    assert line_of("models[1].inner[0].deep.x", lines) == 17
    assert line_of("models[1].label", lines) == 14
    assert line_of("no", lines) is None
    assert ("no", "table") not in lines
