"""``gradprobe data`` as a user calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import data_files
import numpy as np
import pytest
from typer.testing import CliRunner

from gradprobe.cli import app
from gradprobe.tasks.data.catalogue import DATA_SETS

if TYPE_CHECKING:
    from pathlib import Path

LABELS = data_files.idx(np.arange(10, dtype=np.uint8))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put one small data set in place of the real ones, and return the folder of its files."""
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS})
    for name in list(DATA_SETS):
        monkeypatch.delitem(DATA_SETS, name)
    monkeypatch.setitem(DATA_SETS, "small", data_set)
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path))
    return tmp_path / "small"


@pytest.mark.parametrize("command", [["verify", "small"], ["verify"], ["fetch", "small"]])
def test_files_that_are_right_are_told(small: Path, command: list[str]) -> None:
    result = CliRunner().invoke(app, ["data", *command])
    assert result.exit_code == 0
    assert result.stdout == f"{small}: Small small, files with the published SHA-256 sums\n"


def test_the_line_of_provenance_is_told(small: Path) -> None:
    (small / "labels").write_bytes(LABELS[:-1] + b"\x00")
    (small / "PROVENANCE").write_text("encoded again")
    result = CliRunner().invoke(app, ["data", "verify", "small"])
    assert result.exit_code == 0
    assert "files that are not the published ones: encoded again" in result.stdout


def test_missing_files_end_with_the_command_that_gets_them(small: Path) -> None:
    (small / "labels").unlink()
    result = CliRunner().invoke(app, ["data", "verify", "small"])
    assert result.exit_code == 2
    assert result.output.startswith("gradprobe: error: ")
    assert "gradprobe data fetch small" in result.output


def test_the_exit_codes_are_told() -> None:
    for command in ([], ["fetch"], ["verify"]):
        assert "Exit codes: 0" in CliRunner().invoke(app, ["data", *command, "--help"]).stdout


def test_an_unknown_data_set_is_told_with_the_known_ones(small: Path) -> None:
    result = CliRunner().invoke(app, ["data", "fetch", "imagenet"])
    assert result.exit_code == 2
    assert "unknown data set 'imagenet'; the data sets are: small" in result.output


def test_data_sets_are_listed_with_their_folders(small: Path) -> None:
    result = CliRunner().invoke(app, ["data", "list"])
    assert result.exit_code == 0
    assert result.stdout == (
        f"small  Small small, {small}\n    Cite: Small (1900).  Licence: free.\n"
    )
