"""The commands on a folder of results: status, retry, export."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from study_texts import SMALL_STUDY
from typer.testing import CliRunner

from gradprobe import frame
from gradprobe.cli import app
from gradprobe.studies.grid import cells
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.reading import parse_study
from gradprobe.studies.store import load, read_results
from gradprobe.studies.tables import encode_table
from gradprobe.studies.workplace import Notes
from gradprobe.studies.writer import RunningCell, Writer, stored_before

if TYPE_CHECKING:
    from typer.testing import Result

STUDY = parse_study(SMALL_STUDY, "small.toml")
CELLS = cells(STUDY)
TIMES = ("2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0)
LSTM = "LSTM, forget bias 5 on noise_padded_digits, seed 0"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results: of four cells, the first is finished and the second has failed."""
    with Writer(tmp_path, STUDY) as writer:
        table = encode_table(frame.rows(step=[0, 1], value=[1.5, float("-inf")]))
        writer.record(CELLS[0], {}, Outcome(*TIMES, table))
        writer.record(CELLS[1], {}, Outcome(*TIMES, error="Traceback ...\nValueError: no <b>\n"))
    return tmp_path


def test_status_tells_what_is_finished_failed_and_left(folder: Path) -> None:
    result = invoke("status", folder)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "small: 1 of 4 cells finished, 1 failed, 2 left",
        "no run is going on",
        "failed:",
        f"  {CELLS[1].hash[:12]}  {LSTM}: ValueError: no <b>",
        f"`gradprobe retry {folder}` computes what failed again; a cell's hash after it, one",
    ]


def test_status_tells_what_is_running_while_it_is_written(folder: Path) -> None:
    notes = Notes(folder / "checkpoints" / f"{CELLS[2].hash}.json", clock=iter([0, 2]).__next__)
    notes.take(0, 100)
    notes.take(50, 100)
    with Writer(folder, STUDY) as writer:
        writer.announce("local", 2)
        since = "2026-01-01T00:00:00+00:00"
        running = [
            RunningCell(CELLS[1].hash, since, 1, "here", 11),
            RunningCell(CELLS[2].hash, since, 2, "here", 12),
        ]
        writer.beat(running, 100.0)
        lines = invoke("status", folder).output.splitlines()
        found = json.loads(invoke("status", folder, "--json").output)
    assert lines[0] == "small: 1 of 4 cells finished, 2 running, 1 left"  # the failed one, again
    assert lines[1].startswith(f"running: process {os.getpid()} on ")
    assert "local engine, 2 at a time; about 1 min " in lines[1]
    assert lines[2].startswith(f"  {CELLS[1].hash[:12]}  {LSTM}, for ")
    assert "seed 1, for " in lines[3]
    assert lines[3].endswith("attempt 2: 50/100 iterations, 25 per second, about 2 s left")
    assert len(lines) == 4
    assert [cell["process"] for cell in found["running"]] == [11, 12]
    assert invoke("status", folder).output.splitlines()[1] == "no run is going on"


def test_a_killed_run_is_not_taken_for_a_running_one(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with Writer(folder, STUDY) as writer:
        writer.announce("local", 2)
        writer._connection.execute("UPDATE run SET process = ?", (ended.pid,))
        writer.beat([RunningCell(CELLS[2].hash, TIMES[0], 1, "here", 12)], 100.0)
        lines = invoke("status", folder).output.splitlines()
        writer._connection.execute("UPDATE run SET heartbeat = '2026-01-01T00:00:00+00:00'")
        writer._connection.execute("UPDATE run SET process = ?, host = 'elsewhere'", (os.getpid(),))
        silent = invoke("status", folder).output.splitlines()
    assert lines[0] == "small: 1 of 4 cells finished, 1 failed, 2 left"
    assert lines[1].startswith(f"no run is going on: process {ended.pid} on ")
    assert silent[1].startswith(f"no run is going on: process {os.getpid()} on elsewhere was ended")


def test_status_of_what_holds_no_results_is_refused(tmp_path: Path) -> None:
    result = invoke("status", tmp_path)
    assert result.exit_code == 2
    assert "holds no results" in result.output


@pytest.mark.parametrize("command", ["status", "retry", "recover", "export"])
def test_what_is_no_folder_of_results_is_refused_with_what_is_there(
    folder: Path, command: str
) -> None:
    options = ("-o", folder / "table.csv") if command == "export" else ()
    results = folder / "all" / "one"
    results.mkdir(parents=True)
    (folder / "results.sqlite").rename(results / "results.sqlite")
    before = sorted(folder.rglob("*"))
    for place, reason in [
        (folder / "missing", "holds no results (results.sqlite is not there)"),
        (results / "results.sqlite", "holds no results (it is a file, not a folder)"),
        (results.parent, f"holds no results (results.sqlite is not there); {results} does"),
    ]:
        result = invoke(command, place, *options)
        assert result.exit_code == 2
        assert result.output == f"gradprobe: error: {place}: {reason}\n"
    assert sorted(folder.rglob("*")) == before


def test_a_run_that_could_not_write_its_tables_hinders_no_other(
    folder: Path, tmp_path: Path
) -> None:
    """Killed, or out of room on the disk, right after the file was made."""
    study = read_results(folder).study
    (tmp_path / "begun").mkdir()
    with closing(sqlite3.connect(tmp_path / "begun" / "results.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    result = invoke("status", tmp_path / "begun")
    assert result.exit_code == 2
    assert "holds no results (results.sqlite is empty" in result.output
    assert stored_before(tmp_path / "begun").finished == set()
    with Writer(tmp_path / "begun", study) as writer:
        assert writer.stored().finished == set()
    assert len(read_results(tmp_path / "begun").missing) == 4


def test_the_command_that_computes_a_cell_again_names_its_study_among_several(
    folder: Path,
) -> None:
    text = SMALL_STUDY.replace('"small"', '"other"').replace("seeds = [0, 1]", "seeds = [7]")
    with Writer(folder, parse_study(text, "other.toml")):
        pass
    assert "other studies here: small (--study NAME)" in invoke("status", folder).output
    lines = invoke("status", folder, "--study", "small").output.splitlines()
    (advice,) = [line for line in lines if "computes what failed again" in line]
    command = shlex.split(advice.split("`")[1])
    assert command == ["gradprobe", "retry", str(folder), "--study", "small"]
    assert "of 1 cells are finished now" in invoke(*command[1:], CELLS[1].hash[:12]).output


def test_recover_leaves_alone_what_is_not_damaged(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = invoke("recover", folder)
    assert result.exit_code == 2
    assert "nothing is damaged, all 2 cells can be read; nothing was changed" in result.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_retry_computes_what_failed_and_nothing_else(folder: Path) -> None:
    prefix = CELLS[1].hash[:6]
    result = invoke("retry", folder, prefix, "--workers", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "1 of 1 cells are finished now"
    results = read_results(folder)
    assert [record.status for record in results.cells] == ["finished", "finished"]
    assert {missing.seed for missing in results.missing} == {1}
    assert invoke("retry", folder).output == "nothing has failed\n"
    for wrong, reason in [
        (prefix, "is finished already"),
        ("xyz", "is not one of this study's"),
        ("", "2 cells begin with ''"),
    ]:
        refused = invoke("retry", folder, wrong)
        assert refused.exit_code == 2
        assert reason in refused.output


@pytest.mark.parametrize("name", ["new/table.csv", "table.parquet"])
def test_export_writes_the_table(folder: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    result = invoke("export", folder, "-o", file)
    assert result.output == f"{file}: 2 rows\n"
    table = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    assert table["value"].tolist() == load(folder)["value"].tolist() == [1.5, float("-inf")]
    assert table["model"].tolist() == ["Vanilla", "Vanilla"]
    assert list(table.columns) == list(frame.COLUMNS)


def test_what_can_be_read_of_a_damaged_file_is_recovered(tmp_path: Path) -> None:
    study = parse_study(SMALL_STUDY.replace("seeds = [0, 1]", f"seeds = {list(range(20))}"), "x")
    with Writer(tmp_path, study) as writer:
        for cell in cells(study)[:-1]:
            values = [float(cell.seed), *range(300)]
            table = encode_table(frame.rows(step=range(301), value=values))
            writer.record(cell, {}, Outcome(*TIMES, table))
        writer.record(cells(study)[-1], {}, Outcome(*TIMES, error="no"))
    before = load(tmp_path).groupby(["model", "seed"])["value"].sum()
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        find = "SELECT pageno FROM dbstat WHERE name = 'cells' AND pagetype = 'leaf' ORDER BY path"
        pages = [row[0] for row in connection.execute(find)] if has_dbstat(connection) else [20]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    file = tmp_path / "results.sqlite"
    content = bytearray(file.read_bytes())
    start = (pages[len(pages) // 2] - 1) * size
    content[start : start + size] = b"\xff" * size
    file.write_bytes(content)
    refused = invoke("export", tmp_path, "-o", tmp_path / "table.csv")
    assert refused.exit_code == 2
    assert "the file is damaged: `gradprobe recover` saves" in refused.output

    result = invoke("recover", tmp_path)
    assert result.exit_code == 0, result.output
    after = load(tmp_path).groupby(["model", "seed"])["value"].sum()
    assert 20 <= len(after) < 39
    assert after.to_dict() == {key: before[key] for key in after.index}
    assert result.output.startswith(f"{len(after)} finished and 1 failed cells are saved\n")
    assert (tmp_path / "results.sqlite.damaged").read_bytes() == bytes(content)
    assert len(read_results(tmp_path).missing) == 40 - len(after)
    assert "move it away first" in invoke("recover", tmp_path).output


def has_dbstat(connection: sqlite3.Connection) -> bool:
    modules = {row[0] for row in connection.execute("PRAGMA module_list")}
    return "dbstat" in modules


def test_a_file_of_which_nothing_can_be_read_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_bytes(b"this is no database" * 100)
    result = invoke("recover", tmp_path)
    assert result.exit_code == 2
    assert "nothing of results.sqlite can be read" in result.output
    assert (tmp_path / "results.sqlite").exists()


def test_export_to_another_kind_of_file_is_refused(folder: Path, tmp_path: Path) -> None:
    result = invoke("export", folder, "-o", tmp_path / "table.xlsx")
    assert result.exit_code == 2
    assert "a table is written to a" in result.output
