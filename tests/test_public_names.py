"""What ``import gradprobe as gp`` gives, what it costs, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
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


def imported_names(file: Path) -> set[str]:
    """Return the dotted names that a file imports, type checking and late imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module)):
                found |= {f"{module}.{alias.name}" for alias in node.names}
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(str(name))]):
                found.add(name)
    return found


def imported_packages(file: Path) -> set[str]:
    """Return the parts of gradprobe that a file imports."""
    return {name.split(".")[1] for name in imported_names(file) if name.startswith("gradprobe.")}


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | SHARED | {package}
    files = sorted((PACKAGE / package).rglob("*.py"))
    assert files
    for file in files:
        assert imported_packages(file) <= allowed, file


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
    imported: dict[str, set[str]] = {}
    for module, file in files.items():
        names = imported_names(file)
        # A name within a module stands for the module.
        of_modules = {name if name in files else name.rpartition(".")[0] for name in names}
        imported[module] = (of_modules & set(files)) - {module}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        circle = " imports ".join(reversed(error.args[1]))
        pytest.fail(f"{circle}: move what both need into a module of its own")


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
