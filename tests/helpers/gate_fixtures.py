"""Stored results, approved and sound, that all tests of the gate share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gate_results import store

from gradprobe import gate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def approved_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of results at the seeds 0, 1 and 2."""
    return store(tmp_path_factory.mktemp("approved") / "results", [0, 1, 2])


@pytest.fixture(scope="session")
def baseline_file(approved_results: Path) -> Path:
    """Return the baseline of the approved results."""
    path = approved_results.parent / "baseline.json"
    gate.write_baseline(gate.Baseline.of(gate.read_measured(approved_results)), path)
    return path
