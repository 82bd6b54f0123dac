"""What ``import gradprobe as gp`` gives, what it costs, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gradprobe as gp

PACKAGE = Path(gp.__file__).parent

# Which packages of gradprobe each package may import; errors, checks, registry, frame, seeds and
# the lazy loader are open to all.
ALLOWED: dict[str, set[str]] = {
    "linalg": set(),
    "tasks": set(),
    "models": {"linalg"},
    "probes": {"models", "linalg"},
    # a user's own cell is held to the contract before it is studied
    "studies": {"tasks", "models", "probes", "training", "reports", "testing"},
    # what changed between results is told by the gate's statistics
    "reports": {"studies", "gate", "tuning"},
    # the gate's outputs write names as reports do
    "gate": {"studies", "reports"},
    "own_model": {"models", "probes"},
    "training": {"models", "linalg", "probes", "tasks"},
    "testing": {"models", "probes"},
    "tuning": set(),
}
SHARED = {"errors", "checks", "registry", "frame", "seeds", "_lazy", "_version"}
WITHOUT_TORCH = [
    "gradprobe",
    "gradprobe.cli",
    "gradprobe.frame",
    "gradprobe.gate.comparing",
    "gradprobe.gate.measured",
    "gradprobe.gate_command",
    "gradprobe.reports.page",
    "gradprobe.studies.reading",
    "gradprobe.testing",
    "gradprobe.models.registry",
    "gradprobe.probes.registry",
    "gradprobe.tasks.registry",
    "gradprobe.tune_command",
    "gradprobe.tuning.ranking",
]


def imported_packages(file: Path) -> set[str]:
    """Return the parts of gradprobe that a file imports, type checking included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "gradprobe":
                names = [f"gradprobe.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("gradprobe.")}
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | SHARED | {package}
    files = sorted((PACKAGE / package).rglob("*.py"))
    assert files
    for file in files:
        assert imported_packages(file) <= allowed, file


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_torch_is_not_imported_where_it_is_not_needed(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    for module in (
        gp,
        gp.linalg,
        gp.models,
        gp.probes,
        gp.studies,
        gp.tasks,
        gp.testing,
        gp.reports,
        gp.gate,
        gp.tuning,
    ):
        for name in module.__all__:
            assert getattr(module, name) is not None
        assert set(dir(module)) >= set(module.__all__)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gradprobe' has no attribute 'prob'"):
        _ = gp.prob
