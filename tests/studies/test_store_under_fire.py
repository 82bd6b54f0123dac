"""The store under fire: kills, a full disk, files of an older version, tables of both formats."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kill_study import kill_studies, summary
from pyarrow import parquet

from gradprobe import frame
from gradprobe.errors import StoreError
from gradprobe.studies.grid import cells
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.running import run_study
from gradprobe.studies.status import study_status
from gradprobe.studies.store import load, read_results
from gradprobe.studies.tables import FEW_ROWS, PARQUET_MAGIC, decode_table, encode_table
from gradprobe.studies.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.schema import Study

TIMES = ("2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0)

VERSION_2 = """
CREATE TABLE study_files (
    saved TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE grid (
    position INTEGER PRIMARY KEY, hash TEXT NOT NULL, label TEXT NOT NULL, task TEXT NOT NULL,
    specification TEXT NOT NULL, published TEXT NOT NULL
);
CREATE TABLE cells (
    hash TEXT PRIMARY KEY, specification TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('finished', 'failed')),
    provenance TEXT NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL, seconds REAL NOT NULL,
    table_version INTEGER, table_parquet BLOB, error TEXT,
    CHECK ((status = 'finished') = (table_parquet IS NOT NULL)),
    CHECK ((status = 'finished') = (error IS NULL))
);
INSERT INTO study_files SELECT * FROM new.study_files;
INSERT INTO grid SELECT position, hash, label, task, specification, published FROM new.grid;
INSERT INTO cells SELECT * FROM new.cells;
PRAGMA application_id = 1735549284;
PRAGMA user_version = 2;
"""
"""The tables as gradprobe wrote them before it knew of several studies in one folder."""


def table_of(first: float, rows: int = 3) -> pd.DataFrame:
    values = np.r_[first, np.full(rows - 2, -1000.5), -np.inf]
    return frame.rows(step=np.arange(rows), value=values, error=0.5, resolved=True, probe="x")


def parquet_of(table: pd.DataFrame) -> bytes:
    """Return what version 2 stored, with what pandas says of its types."""
    buffer = io.BytesIO()
    arrow = pa.Table.from_pandas(frame.conform(table), preserve_index=False)
    parquet.write_table(arrow, buffer, compression="zstd")
    return buffer.getvalue()


def test_kills_lose_nothing_and_compute_nothing_twice(tmp_path: Path) -> None:
    """A small part of what reports/robustness does at length."""
    found = summary(kill_studies(kills=3, cells=30, seconds=0.1, seed=7, record=None))
    assert found["kills"] >= 3
    assert found["finished cells lost"] == 0
    assert found["finished cells computed twice"] == 0
    assert found["tables that differ"] == 0


def test_a_full_disk_loses_no_finished_cell(tmp_path: Path, study: Study) -> None:
    grid = cells(study)
    with Writer(tmp_path, study) as writer:
        writer.record(grid[0], {}, Outcome(*TIMES, encode_table(table_of(1.5))))
        pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
        writer._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = Outcome(*TIMES, b"x" * 100_000)
        with pytest.raises(StoreError, match="database or disk is full; make room on the disk"):
            writer.record(grid[1], {}, large)
        assert load(tmp_path)["value"].iloc[0] == 1.5
    with Writer(tmp_path, study) as writer:
        assert writer.stored().finished == {grid[0].hash}
        writer.record(grid[1], {}, Outcome(*TIMES, encode_table(table_of(2.5))))
    assert load(tmp_path).query("step == 0")["value"].tolist() == [1.5, 2.5]


def test_a_store_of_version_2_is_read_as_it_is_and_written_as_version_3(
    tmp_path: Path, study: Study
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    grid = cells(study)
    with Writer(new, study) as writer:
        for number, cell in enumerate(grid[:2]):
            writer.record(cell, {}, Outcome(*TIMES, parquet_of(table_of(number))))
        writer.record(grid[2], {}, Outcome(*TIMES, error="no"))
    with closing(sqlite3.connect(old / "results.sqlite", isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS new", (str(new / "results.sqlite"),))
        connection.executescript(VERSION_2)
    before = (old / "results.sqlite").read_bytes()

    expected = load(new)
    pd.testing.assert_frame_equal(load(old), expected, check_exact=True)
    assert read_results(old).cells == read_results(new).cells
    found = study_status(old)
    assert (found.study, found.finished, len(found.failed), found.left) == ("small", 2, 1, 1)
    assert (old / "results.sqlite").read_bytes() == before

    with Writer(old, study) as writer:
        assert writer.stored().finished == {cell.hash for cell in grid[:2]}
        writer.record(grid[3], {}, Outcome(*TIMES, encode_table(table_of(3.5))))
    table = load(old)
    pd.testing.assert_frame_equal(table.iloc[:6], expected, check_exact=True)
    assert table["value"].iloc[6] == 3.5
    assert read_results(old, "small").study.text == study.text


@pytest.mark.parametrize("rows", [2, FEW_ROWS, FEW_ROWS + 1])
def test_tables_of_either_format_come_back_exactly(rows: int) -> None:
    table = table_of(0.1, rows)
    data = encode_table(table)
    assert data.startswith(PARQUET_MAGIC) == (rows > FEW_ROWS)
    pd.testing.assert_frame_equal(decode_table(data, "table"), table, check_exact=True)
    pd.testing.assert_frame_equal(decode_table(parquet_of(table), "old"), table, check_exact=True)


def test_half_a_table_is_not_read(tmp_path: Path) -> None:
    for data in (encode_table(table_of(0.1)), encode_table(table_of(0.1, FEW_ROWS + 1))):
        for length in (0, 3, 10, len(data) // 2):
            with pytest.raises(StoreError, match="the table is damaged"):
                decode_table(data[:length], "the table")


def test_one_worker_and_two_give_the_same_table(tmp_path: Path, study: Study) -> None:
    """That trainings do, too, the tests of interrupted trainings show."""
    for workers in (1, 2):
        assert run_study(study, tmp_path / str(workers), workers=workers).finished == 4
    one, two = load(tmp_path / "1"), load(tmp_path / "2")
    assert one["value"].notna().sum() > 100
    pd.testing.assert_frame_equal(one, two, check_exact=True)
