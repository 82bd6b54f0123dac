"""From a folder of results to a file: with a real store, without computing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradprobe.errors import StoreError
from gradprobe.reports import write_report
from gradprobe.reports.example import example_results
from gradprobe.studies.grid import cells
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.reading import parse_study
from gradprobe.studies.tables import encode_table
from gradprobe.studies.writer import Writer

STUDY = """\
name = "stored"
question = "Do <b>gradients</b> survive 40 steps?"

[[tasks]]
name = "noise_padded_digits"
options = { length = 40 }

[grid]
seeds = [0, 1]
lengths = [20, 40]
sequences = 2

[[models]]
label = "GRU"
name = "gru"
hidden_size = 4

[probes.gradient_norm]
"""
WHEN = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:07+00:00"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hold one finished cell of two."""
    study = parse_study(STUDY, "stored.toml")
    table = example_results(models=1, seeds=1, lengths=[20, 40], units=4).table
    with Writer(tmp_path / "results", study) as writer:
        outcome = Outcome(**WHEN, seconds=7.0, encoded_table=encode_table(table))
        provenance = {"versions": {"torch": "2.9"}, "commit": {"hash": "abc", "modified": False}}
        writer.record(cells(study)[0], provenance, outcome)
    return tmp_path / "results"


def test_a_stored_study_is_told(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    assert write_report(folder, output) == output
    text = output.read_text(encoding="utf-8")
    assert "Do &lt;b&gt;gradients&lt;/b&gt; survive 40 steps?" in text
    assert "1 cell missing" in text
    assert "GRU, noise_padded_digits, seed 1</bdi> was not computed" in text
    assert "2026-01-01T00:00:07+00:00" in text
    assert "versions: torch" in text
    assert f"gradprobe report {folder} -o {output}" in text
    assert "<bdi>GRU</bdi>" in text


def test_a_second_time_gives_the_same_bytes_and_leaves_nothing_beside(
    folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "site" / "report.html"
    output.parent.mkdir()
    write_report(folder, output)
    first = output.read_bytes()
    write_report(folder, output)
    assert output.read_bytes() == first
    assert list(output.parent.iterdir()) == [output]


def test_a_path_that_cannot_be_written_leaves_what_was_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        write_report(folder, tmp_path / "no such folder" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StoreError, match=r"folder\.html: the report cannot be written"):
        write_report(folder, tmp_path / "folder.html")
    assert {path.name for path in tmp_path.iterdir()} == {"results", "folder.html"}


def test_a_store_without_a_finished_cell_is_an_error(tmp_path: Path) -> None:
    with Writer(tmp_path / "results", parse_study(STUDY, "stored.toml")):
        pass
    with pytest.raises(StoreError, match="at least one finished cell"):
        write_report(tmp_path / "results", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
