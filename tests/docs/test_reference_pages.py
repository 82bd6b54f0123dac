"""The reference names all that there is: probes, models, tasks, commands, keys, columns."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import command_pages
import mirrored_files
import pytest
import reference
import study_page
import typer
from documented_code import ROOT

from gradprobe import cli, frame
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.studies.schema import Study
from gradprobe.tasks.registry import TASKS
from gradprobe.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

PAGES = reference.pages()


@pytest.mark.parametrize(
    ("kind", "registry"), [("probes", PROBES), ("models", MODELS), ("tasks", TASKS)]
)
def test_everything_registered_has_a_page_from_its_docstring(
    kind: str, registry: dict[str, str]
) -> None:
    for name, place in registry.items():
        assert f"::: {place.replace(':', '.')}\n" in PAGES[f"reference/{kind}/{name}.md"]
        assert f"({name}.md)" in PAGES[f"reference/{kind}/index.md"]
    named = {re.sub(r".*/|\.md$", "", path) for path in PAGES if f"/{kind}/" in path}
    assert named - {"index"} == set(registry)


def test_every_page_of_the_reference_is_in_the_navigation() -> None:
    assert set(re.findall(r"reference/[\w/]+\.md", str(reference.navigation()))) == set(PAGES)


def test_the_pages_are_made_without_lightning_and_tensorboard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("lightning", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("lightning", "tensorboard"):
        monkeypatch.delitem(sys.modules, f"gradprobe.training.{name}", raising=False)
    page = reference.pages()["reference/python/training.md"]
    assert "::: gradprobe.training.lightning.MonitorCallback\n" in page
    assert "::: gradprobe.training.tensorboard.TensorBoardWriter\n" in page


def test_every_command_has_its_help() -> None:
    page = PAGES["reference/command_line.md"]
    commands = dict(command_pages.commands())
    group: Any = typer.main.get_command(cli.app)
    assert {f"gradprobe {name}" for name in group.commands} <= set(commands)
    assert all(f"## {path}\n" in page and text in page for path, text in commands.items())
    assert "--fail-on" in commands["gradprobe check"]


def test_every_key_of_a_study_has_its_meaning() -> None:
    page = PAGES["reference/study_file.md"]
    for key in (*Study.model_fields, *TrainingProtocol.model_fields):
        assert re.search(rf"^\| `{key}` \| .+ \| .+ \| .{{4,}} \|$", page, flags=re.MULTILINE), key
    for _, definition in study_page.tables():
        assert all(f"| `{key}` |" in page for key in definition["properties"])


def test_every_column_of_the_table_of_results_has_its_meaning() -> None:
    page = PAGES["reference/table.md"]
    for name, dtype in frame.COLUMNS.items():
        assert re.search(rf"^\| ``{name}`` \| {dtype} \| \S.+ \|$", page, flags=re.MULTILINE)


@pytest.mark.parametrize("module", [mirrored_files, study_page])
def test_what_makes_the_pages_does_what_its_examples_say(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    loaded = [
        (page.name, address)
        for page in pages
        if "reports" not in page.relative_to(tmp_path).parts
        for address in re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(https?:[^\"' >]+)",
            page.read_text(encoding="utf-8"),
        )
    ]
    assert not loaded
    formulas = (tmp_path / "mathematics.html").read_text(encoding="utf-8")
    assert formulas.count("<math") == 6
