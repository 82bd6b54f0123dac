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
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["  line 1", "name"],
        ["  line 20", "models[1].name (LSTM, forget bias 5)"],
        ["  line 25", "probes.other"],
        ["  line 10", "grid.lengths"],
    ]


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
