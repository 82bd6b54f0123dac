"""The fixture ``gradprobe_check`` in a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """\
import os
import pytest, torch

@pytest.mark.parametrize("size", [3, 4])
def test_gradients(gradprobe_check, size):
    torch.manual_seed(size)
    cell = torch.nn.RNN(2, size)
    with torch.no_grad():
        cell.weight_hh_l0.mul_(float(os.environ["SCALE"]))
    inputs = torch.ones(6, 1, 2)
    gradprobe_check(cell, inputs, probes=["gradient_norm"], lengths=[3, 6])
    gradprobe_check(cell, inputs, probes=["singular_values"], name=f"spectrum {size}")
"""


def run(folder: Path, *options: str, scale: float = 1.0) -> subprocess.CompletedProcess[str]:
    plugins = ["-p", "gradprobe.pytest_plugin", "-p", "xdist", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *options, "test_cell.py"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "SCALE": str(scale), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_cell.py").write_text(PROJECT)
    return tmp_path


def test_a_model_is_approved_then_passes_and_fails_when_it_is_worse(project: Path) -> None:
    unknown = run(project)
    assert unknown.returncode == 1
    assert "there is no baseline" in unknown.stdout
    assert not (project / "test_cell").exists()

    assert run(project, "--gradprobe-update", "-n", "2").returncode == 0
    assert sorted(path.name for path in (project / "test_cell").iterdir()) == [
        "spectrum-3.json",
        "spectrum-4.json",
        "test_gradients-3.json",
        "test_gradients-4.json",
    ]

    passed = run(project, "-n", "2")
    assert passed.returncode == 0, passed.stdout
    worse = run(project, scale=0.5)
    assert worse.returncode == 1
    assert "2 failed" in worse.stdout
    assert "regression" in worse.stdout
    # Each of the two failures is shown once, and again in pytest's summary where CI is set.
    drawings = {
        Path(line.partition(": ")[2])
        for line in worse.stdout.splitlines()
        if line.startswith("decay of the gradient: ")
    }
    assert len(drawings) == 2
    assert all(drawing.read_text().startswith("<?xml") for drawing in drawings)


def test_a_project_that_does_not_use_the_plugin_pays_nothing() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules)\n"
        "import gradprobe.pytest_plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == (
        "['gradprobe', 'gradprobe._lazy', 'gradprobe._version', 'gradprobe.pytest_plugin']"
    )
