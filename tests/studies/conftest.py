"""A small study file, as text and checked, for every test of the studies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from fake_cells_study import FAKE_CELLS
from study_texts import SMALL_STUDY

from gradprobe.studies.reading import parse_study

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.studies.schema import Study


@pytest.fixture
def study_text() -> str:
    return SMALL_STUDY


@pytest.fixture
def study() -> Study:
    return parse_study(SMALL_STUDY, "small.toml")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the fake cells note that they were computed: a file for each time."""
    modules, folder = tmp_path / "modules", tmp_path / "log"
    modules.mkdir()
    folder.mkdir()
    (modules / "fake_cells.py").write_text(FAKE_CELLS)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setenv("PYTHONPATH", str(modules), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_CELLS_LOG", str(folder))
    return folder
