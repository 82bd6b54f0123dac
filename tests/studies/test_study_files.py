"""Study files: a mistake is refused with the file, the key, what was expected and what was got."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gradprobe.errors import StudyFileError
from gradprobe.seeds import stream_seed
from gradprobe.studies.grid import canonical, cells, study_hash
from gradprobe.studies.reading import load_study, parse_study

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.schema import Study

CASES = {
    "unknown key at the top": (
        "[grid]",
        "[grdi]",
        "grdi: unknown key; expected one of name, question, description, tasks, grid, models",
    ),
    "unknown key in a table": (
        "sequences = 2",
        "sequences = 2\nseqences = 2",
        "grid.seqences: unknown key; expected one of seeds, lengths, sequences, split, dtype,",
    ),
    "unknown key of a model": (
        'name = "vanilla"',
        'name = "vanilla"\nforget_bias = 1.0',
        "models[0].forget_bias (Vanilla): unknown key; expected one of label, name, hidden_size",
    ),
    "missing key": ("sequences = 2\n", "", "grid.sequences: missing; this key is required"),
    "text for a number": (
        "sequences = 2",
        'sequences = "2"',
        "grid.sequences: expected a valid integer, got '2'",
    ),
    "float for an integer": (
        "sequences = 2",
        "sequences = 2.0",
        "grid.sequences: expected a valid integer, got 2.0",
    ),
    "boolean for an integer": (
        "seeds = [0, 1]",
        "seeds = [0, true]",
        "grid.seeds[1]: expected a valid integer, got True",
    ),
    "text in a list": (
        "seeds = [0, 1]",
        'seeds = [0, "1"]',
        "grid.seeds[1]: expected a valid integer, got '1'",
    ),
    "number for a list": (
        "seeds = [0, 1]",
        "seeds = 0",
        "grid.seeds: expected a valid list, got 0",
    ),
    "empty list": (
        "seeds = [0, 1]",
        "seeds = []",
        "grid.seeds: expected to have at least 1 item, got []",
    ),
    "negative seed": (
        "seeds = [0, 1]",
        "seeds = [-1]",
        "grid.seeds[0]: expected greater than or equal to 0, got -1",
    ),
    "seed beyond 64 bits": (
        "seeds = [0, 1]",
        "seeds = [9223372036854775808]",
        "grid.seeds[0]: expected less than or equal to 9223372036854775807, got",
    ),
    "repeated seed": (
        "seeds = [0, 1]",
        "seeds = [3, 3]",
        "grid.seeds: each must stand once, 3 is repeated",
    ),
    "repeated length": (
        "lengths = [64, 32]",
        "lengths = [32, 32]",
        "grid.lengths: each must stand once, 32 is repeated",
    ),
    "length zero": (
        "lengths = [64, 32]",
        "lengths = [0]",
        "grid.lengths[0]: expected greater than 0, got 0",
    ),
    "length beyond the task": (
        "lengths = [64, 32]",
        "lengths = [32, 65]",
        "grid.lengths: expected at most the 64 steps of task 'noise_padded_digits', got 65",
    ),
    "impossible dtype": (
        "sequences = 2",
        'sequences = 2\ndtype = "float16"',
        "grid.dtype: expected 'float64' or 'float32', got 'float16'",
    ),
    "impossible split": (
        "sequences = 2",
        'sequences = 2\nsplit = "all"',
        "grid.split: expected 'train', 'validation' or 'test', got 'all'",
    ),
    "zero units": (
        "hidden_size = 4\noptions",
        "hidden_size = 0\noptions",
        "models[1].hidden_size (LSTM, forget bias 5): expected greater than 0, got 0",
    ),
    "unknown model": (
        '"vanilla"',
        '"vanila"',
        "models[0].name (Vanilla): unknown model 'vanila'; the models are: antisymmetric,",
    ),
    "unknown probe": (
        "gradient_norm",
        "gradient_norms",
        "probes.gradient_norms: unknown probe 'gradient_norms'; the probes are: ",
    ),
    "unknown task": (
        "noise_padded_digits",
        "mnist",
        "tasks[0].name (mnist): unknown task 'mnist'; the tasks are: ",
    ),
    "impossible option of the task": (
        "length = 64",
        "length = 5",
        "tasks[0] (noise_padded_digits): length must be at least 8, the rows of an image, got 5",
    ),
    "unknown option of the task": (
        "length = 64",
        "lenght = 64",
        "tasks[0] (noise_padded_digits): task 'noise_padded_digits' has the options length; got",
    ),
    "no number": (
        "forget_bias = 5.0",
        "forget_bias = nan",
        "models[1].options (LSTM, forget bias 5): numbers must be finite",
    ),
    "a date among options": (
        "forget_bias = 5.0",
        "forget_bias = 2026-01-01",
        "models[1].options.forget_bias (LSTM, forget bias 5): ",
    ),
    "a size among options": (
        "forget_bias = 5.0",
        "hidden_size = 5",
        "models[1].options (LSTM, forget bias 5): hidden_size is set beside them, not among the",
    ),
    "a seed's business among options": (
        "forget_bias = 5.0",
        "generator = 5",
        "models[1].options (LSTM, forget bias 5): generator is set by the study, not among the",
    ),
    "repeated label": (
        '"LSTM, forget bias 5"',
        '"Vanilla"',
        "models: each must stand once, Vanilla is repeated",
    ),
    "repeated model": (
        'name = "lstm"\nhidden_size = 4\noptions = { forget_bias = 5.0 }',
        'name = "vanilla"\nhidden_size = 4',
        "models: 'LSTM, forget bias 5' and 'Vanilla' are the same model with the same options on",
    ),
    "empty label": (
        '"LSTM, forget bias 5"',
        '""',
        "models[1].label (): expected to have at least 1 character, got ''",
    ),
    "a name that is no file name": (
        'name = "small"',
        'name = "../small"',
        "name: expected to match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$', got '../small'",
    ),
    "no probes": (
        "[probes.gradient_norm]",
        "[probes]",
        "probes: expected at least one probe, or a table [training]; nothing is to be done",
    ),
    "a probe that is no table": (
        "[probes.gradient_norm]",
        "[probes]\ngradient_norm = true",
        "probes.gradient_norm: expected a valid table, got True",
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES)
def test_a_mistake_is_named(study_text: str, before: str, after: str, expected: str) -> None:
    assert before in study_text
    with pytest.raises(StudyFileError) as caught:
        parse_study(study_text.replace(before, after), "broken.toml")
    first, *others = str(caught.value).splitlines()
    mistakes = [line.strip() for line in others] or [first.removeprefix("broken.toml: ")]
    assert first.startswith("broken.toml: ")
    assert [mistake for mistake in mistakes if mistake.startswith(expected)], mistakes


def test_models_that_are_no_tables_are_refused(study_text: str) -> None:
    text = study_text.split("[[models]]", maxsplit=1)[0] + "[probes.gradient_norm]\n"
    for models in ('"vanilla"', "{ label = 'Vanilla' }"):
        with pytest.raises(StudyFileError, match="models: expected a valid list, got"):
            parse_study(f"models = {models}\n{text}", "broken.toml")
    with pytest.raises(StudyFileError, match=r"models\[0\]: expected a valid table .*'vanilla'"):
        parse_study(f"models = ['vanilla']\n{text}", "broken.toml")


def test_all_mistakes_are_named_at_once(study_text: str) -> None:
    broken = (
        study_text.replace('name = "small"', "name = 3")
        .replace('"lstm"', '"lstn"')
        .replace("[64, 32]", "[64, 3200]")
        .replace("[probes.gradient_norm]", "[probes.gradient_norm]\n[probes.other]")
    )
    with pytest.raises(StudyFileError) as caught:
        parse_study(broken, "broken.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "broken.toml: 4 mistakes:"
    keys = [line.split(":")[0].strip() for line in lines[1:]]
    assert keys == ["name", "models[1].name (LSTM, forget bias 5)", "probes.other", "grid.lengths"]


def test_models_that_are_all_wrong_are_not_called_missing(study_text: str) -> None:
    with pytest.raises(StudyFileError) as refusal:
        parse_study(study_text.replace("hidden_size = 4", "hidden_size = 0"), "small.toml")
    assert str(refusal.value).count("hidden_size") == 2
    assert "2 mistakes" in str(refusal.value)


def test_text_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('name = "small"\n[task\n')
    with pytest.raises(
        StudyFileError, match=r"broken\.toml: is not valid TOML: .*\(at line 2, column 6\)"
    ):
        load_study(path)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"absent\.toml: cannot be read: No such file"):
        load_study(tmp_path / "absent.toml")
    with pytest.raises(StudyFileError, match="cannot be read: Is a directory"):
        load_study(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyFileError, match=r"binary\.toml: is not UTF-8 text"):
        load_study(tmp_path / "binary.toml")


def test_checking_a_study_imports_no_torch(study_text: str) -> None:
    script = (
        "import sys; from gradprobe.studies import load, load_study, read_results\n"
        "from gradprobe.studies import running\n"
        "from gradprobe.studies.reading import parse_study\n"
        "parse_study(sys.argv[1], 'small.toml')\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, study_text]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"False\n"


def test_the_grid_is_every_model_at_every_seed(study: Study) -> None:
    grid = cells(study)
    assert [(cell.label, cell.seed) for cell in grid] == [
        ("Vanilla", 0),
        ("LSTM, forget bias 5", 0),
        ("Vanilla", 1),
        ("LSTM, forget bias 5", 1),
    ]
    assert grid[1].specification["model"] == {
        "name": "lstm",
        "hidden_size": 4,
        "num_layers": 1,
        "options": {"forget_bias": 5.0},
    }
    assert grid[0].specification["lengths"] == [32, 64]
    assert grid[0].specification["task"]["length"] == 64
    assert grid[0].specification["training"] is None


def test_a_specification_is_hashed_by_its_meaning(study: Study) -> None:
    grid = cells(study)
    same = (
        study.text.replace("[64, 32]", "[32, 64]")
        .replace('"Vanilla"', '"Plain"\npublished = { test_accuracy = 98.0 }')
        .replace("[[tasks]]", '[[tasks]]\nlabel = "digits"')
    )
    assert [cell.hash for cell in cells(parse_study(same, "same.toml"))] == [
        cell.hash for cell in grid
    ]
    changes = {
        "forget_bias = 5.0": "forget_bias = 4.0",
        "length = 64": "length = 65",
        "sequences = 2": "sequences = 3",
        "lengths = [64, 32]": "lengths = [64, 33]",
        "hidden_size = 4": "hidden_size = 5",
        "[probes.gradient_norm]": "[probes.singular_values]",
        "seeds = [0, 1]\n": 'seeds = [0, 1]\ndtype = "float32"\n',
        "seeds = [0, 1]\nl": "seeds = [0, 1]\nthreads_per_cell = 2\nl",
        "seeds = [0, 1]\nle": 'seeds = [0, 1]\nsplit = "test"\nle',
    }
    hashes = {grid[1].hash}
    for before, after in changes.items():
        changed = cells(parse_study(study.text.replace(before, after), "changed.toml"))
        hashes.add(changed[1].hash)
    assert len(hashes) == len(changes) + 1


def test_the_hash_of_a_study_covers_its_words(study: Study) -> None:
    renamed = parse_study(study.text.replace('"Vanilla"', '"Plain"'), "small.toml")
    assert study_hash(study) == study_hash(parse_study(study.text, "elsewhere.toml"))
    assert study_hash(study) != study_hash(renamed)


def test_the_streams_of_a_cell_are_stored_and_differ(study: Study) -> None:
    streams = [cell.specification["streams"] for cell in cells(study)]
    assert streams[0] == streams[1]  # one seed: the same inputs for every model
    assert len({*streams[0].values(), *streams[2].values()}) == 6
    # SHA-256 of "gradprobe/inputs/0", by coreutils' sha256sum, begins with these four bytes.
    assert stream_seed(0, "inputs") == 0x68F5A7D1


def test_the_canonical_text_is_fixed() -> None:
    assert canonical({"b": [1, 2.5], "a": {"d": None, "c": "γ"}}) == (
        '{"a":{"c":"γ","d":null},"b":[1,2.5]}'
    )
