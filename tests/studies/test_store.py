"""The store: what is written is read back, and nothing else is taken for it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from gradprobe import frame
from gradprobe.errors import StoreError
from gradprobe.studies import database
from gradprobe.studies.grid import cells
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.reading import parse_study
from gradprobe.studies.store import load, read_results
from gradprobe.studies.tables import encode_table
from gradprobe.studies.writer import Writer, stored_before

if TYPE_CHECKING:
    from gradprobe.studies.schema import Study

PROVENANCE = {"versions": {"torch": "2.x"}, "task": "digits"}


def example_table(first: float) -> pd.DataFrame:
    return frame.rows(
        length=64,
        step=np.arange(3),
        probe="gradient_norm",
        value=np.array([first, -1000.5, -np.inf]),
        error=np.array([0.0, 1e-12, np.inf]),
        resolved=np.array([True, True, False]),
    )


def finished(first: float) -> Outcome:
    return Outcome(
        "2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0, encode_table(example_table(first))
    )


def failed(message: str) -> Outcome:
    return Outcome("2026-01-01T00:00:00", "2026-01-01T00:00:01", 1.0, error=message)


def write(folder: Path, study: Study, outcomes: list[Outcome]) -> None:
    with Writer(folder, study) as writer:
        for cell, outcome in zip(cells(study), outcomes, strict=False):
            writer.record(cell, PROVENANCE, outcome)


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection, connection:
        connection.execute(statement)


def test_tables_come_back_with_labels_task_and_seed(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5), finished(2.5), finished(3.5)])
    table = load(tmp_path)
    assert table.dtypes.astype(str).to_dict() == frame.COLUMNS
    expected = frame.concatenate(
        [
            example_table(1.5).assign(model="Vanilla", seed=0),
            example_table(2.5).assign(model="LSTM, forget bias 5", seed=0),
            example_table(3.5).assign(model="Vanilla", seed=1),
        ],
        task="noise_padded_digits",
    )
    pd.testing.assert_frame_equal(table, expected)


def test_results_name_what_is_finished_failed_and_missing(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5), failed("inputs must be finite")])
    results = read_results(tmp_path)
    grid = cells(study)
    assert results.study.model_dump() == study.model_dump()
    assert results.study.text == study.text
    assert [record.status for record in results.cells] == ["finished", "failed"]
    assert [record.hash for record in results.cells] == [cell.hash for cell in grid[:2]]
    assert results.cells[0].provenance == PROVENANCE
    assert results.cells[0].seconds == 2.0
    assert results.cells[0].specification == grid[0].specification
    assert (results.cells[1].label, results.cells[1].seed) == ("LSTM, forget bias 5", 0)
    assert results.cells[1].error == "inputs must be finite"
    assert [missing.hash for missing in results.missing] == [cell.hash for cell in grid[1:]]
    assert [missing.specification for missing in results.missing] == [
        cell.specification for cell in grid[1:]
    ]


def test_a_finished_cell_is_never_written_again(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    with (
        Writer(tmp_path, study) as writer,
        pytest.raises(StoreError, match="is finished already"),
    ):
        writer.record(cells(study)[0], PROVENANCE, failed("late"))
    assert load(tmp_path)["value"].iloc[0] == 1.5


def test_a_failed_cell_can_be_finished_later(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [failed("out of memory")])
    assert stored_before(tmp_path).finished == set()
    write(tmp_path, study, [finished(7.5)])
    assert stored_before(tmp_path).finished == {cells(study)[0].hash}
    assert read_results(tmp_path).cells[0].error is None


def test_results_can_be_read_while_a_run_is_writing(tmp_path: Path, study: Study) -> None:
    with Writer(tmp_path, study) as writer:
        writer.record(cells(study)[0], PROVENANCE, finished(1.5))
        assert len(load(tmp_path)) == 3
        writer.record(cells(study)[1], PROVENANCE, finished(2.5))
        assert len(load(tmp_path)) == 6


def test_a_reader_never_makes_the_writer_wait(tmp_path: Path, study: Study) -> None:
    with Writer(tmp_path, study) as writer:
        writer.record(cells(study)[0], PROVENANCE, finished(1.5))
        with closing(database.open_for_reading(tmp_path)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM cells").fetchone() == (1,)
            writer.record(cells(study)[1], PROVENANCE, finished(2.5))
            assert reader.execute("SELECT count(*) FROM cells").fetchone() == (1,)
    assert len(load(tmp_path)) == 6


def test_a_second_writer_is_refused_and_the_lock_ends_with_the_first(
    tmp_path: Path, study: Study
) -> None:
    with Writer(tmp_path, study), pytest.raises(StoreError, match="another run is writing here"):
        Writer(tmp_path, study)
    Writer(tmp_path, study).close()


def test_renaming_a_model_keeps_its_cells(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    renamed = parse_study(study.text.replace('"Vanilla"', '"Plain RNN"'), "small.toml")
    assert stored_before(tmp_path).finished == {cells(study)[0].hash}
    write(tmp_path, renamed, [])
    assert set(load(tmp_path)["model"]) == {"Plain RNN"}


def test_an_edited_study_shows_only_the_cells_that_it_still_has(
    tmp_path: Path, study: Study
) -> None:
    write(tmp_path, study, [finished(1.5), finished(2.5), finished(3.5), finished(4.5)])
    edited = parse_study(study.text.replace("seeds = [0, 1]", "seeds = [1, 2]"), "small.toml")
    write(tmp_path, edited, [])
    results = read_results(tmp_path)
    assert sorted(results.table["seed"].unique()) == [1]
    assert [missing.seed for missing in results.missing] == [2, 2]
    write(tmp_path, study, [])
    assert read_results(tmp_path).missing == []


def test_what_a_run_leaves_is_one_file_and_reading_adds_none(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    load(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.sqlite", "writer.lock"]
    write(tmp_path, study, [])
    assert len(load(tmp_path)) == 3


def test_nothing_is_written_by_looking(tmp_path: Path, study: Study) -> None:
    assert stored_before(tmp_path / "new" / "folder").finished == set()
    with pytest.raises(StoreError, match="holds no results"):
        load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, study: Study) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for folder in (file, file / "below"):
        with pytest.raises(StoreError, match=r"expected a folder for results, but .* is a file"):
            stored_before(folder)
        with pytest.raises(StoreError):
            Writer(folder, study)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"\x00" * 4096])
def test_a_damaged_file_is_refused(tmp_path: Path, study: Study, content: bytes) -> None:
    (tmp_path / "results.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read or written here"):
        load(tmp_path)
    with pytest.raises(StoreError, match="cannot be read or written here"):
        Writer(tmp_path, study)
    assert (tmp_path / "results.sqlite").read_bytes() == content


def test_a_truncated_file_is_refused(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    path = tmp_path / "results.sqlite"
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(StoreError, match="cannot be read or written here: database disk image"):
        load(tmp_path)


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path, study: Study) -> None:
    execute(tmp_path, "CREATE TABLE songs (title TEXT)")
    before = (tmp_path / "results.sqlite").read_bytes()
    with pytest.raises(StoreError, match="was not written by gradprobe"):
        load(tmp_path)
    with pytest.raises(StoreError, match="was not written by gradprobe"):
        Writer(tmp_path, study)
    assert (tmp_path / "results.sqlite").read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    execute(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has format 99, this gradprobe reads the formats 2 to 3"):
        load(tmp_path)


def test_the_format_without_labels_of_tasks_is_refused(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    execute(tmp_path, "PRAGMA user_version = 1")
    expected = "has format 1, this gradprobe reads the formats 2 to 3; use the version of gradprobe"
    with pytest.raises(StoreError, match=expected):
        load(tmp_path)
    with pytest.raises(StoreError, match=expected):
        Writer(tmp_path, study)


def test_labels_of_tasks_and_what_is_published_come_back(tmp_path: Path, study: Study) -> None:
    text = study.text.replace("[[tasks]]", '[[tasks]]\nlabel = "padded digits"').replace(
        'name = "vanilla"', 'name = "vanilla"\npublished = { test_accuracy = 98.0, source = "T1" }'
    )
    labelled = parse_study(text, "small.toml")
    write(tmp_path, labelled, [finished(1.5)])
    results = read_results(tmp_path)
    assert set(results.table["task"]) == {"padded digits"}
    assert results.cells[0].task == "padded digits"
    assert results.cells[0].published == {"test_accuracy": 98.0, "source": "T1"}
    assert [(cell.label, cell.task, cell.seed) for cell in results.missing] == [
        ("LSTM, forget bias 5", "padded digits", 0),
        ("Vanilla", "padded digits", 1),
        ("LSTM, forget bias 5", "padded digits", 1),
    ]
    assert [cell.published for cell in results.missing] == [{}, results.cells[0].published, {}]
    write(tmp_path, study, [])  # the label again as it was: nothing is lost
    assert set(load(tmp_path)["task"]) == {"noise_padded_digits"}


def test_a_newer_table_is_refused(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    execute(tmp_path, "UPDATE cells SET table_version = 99")
    with pytest.raises(StoreError, match="has version 99"):
        load(tmp_path)


def test_a_damaged_table_is_refused(tmp_path: Path, study: Study) -> None:
    write(tmp_path, study, [finished(1.5)])
    execute(tmp_path, "UPDATE cells SET table_parquet = x'00010203'")
    with pytest.raises(StoreError, match="is damaged"):
        load(tmp_path)


def test_an_interrupted_creation_is_begun_again(tmp_path: Path, study: Study) -> None:
    (tmp_path / "results.sqlite").touch()
    write(tmp_path, study, [finished(1.5)])
    assert len(load(tmp_path)) == 3


READ_ONLY_SCRIPT = """\
import os, sys
from gradprobe.errors import StoreError
from gradprobe.studies.reading import parse_study
from gradprobe.studies.store import load
from gradprobe.studies.writer import Writer
load(sys.argv[1])  # import all that reading needs: another user may not reach the packages
if os.geteuid() == 0:
    os.setuid(65534)  # permissions do not bind root
print(len(load(sys.argv[1])))
try:
    Writer(sys.argv[1], parse_study(sys.argv[2], "small.toml"))
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_read_only_folder_can_be_read_and_not_written(study: Study, mode: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, study, [finished(1.5)])
        execute(folder, f"PRAGMA journal_mode = {mode}")
        folder.chmod(0o555)
        command = [sys.executable, "-c", READ_ONLY_SCRIPT, name, study.text]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        folder.chmod(0o755)
    rows, refusal = output.splitlines()
    assert rows == "3"
    assert refusal.startswith(f"{name}: the results cannot be read or written here: ")
