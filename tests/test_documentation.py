"""The code in the README and in CONTRIBUTING runs; the README has the shape that CI relies on."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gradprobe import cli, models, probes, tasks
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.tasks.registry import TASKS

ROOT = Path(__file__).parents[1]


def blocks(document: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a document: language and text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def module_of(code: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make `code` importable under a module name, as a new file would be."""
    module = types.ModuleType(name)
    exec(code, module.__dict__)  # noqa: S102 - the document's own example
    monkeypatch.setitem(sys.modules, name, module)
    return name


def test_the_first_two_blocks_of_the_readme_are_the_two_commands() -> None:
    (first_language, first), (second_language, second), *_ = blocks("README.md")
    assert first_language == second_language == "sh"
    assert first.count("\n") == second.count("\n") == 1
    assert "gradprobe run studies/gradient_decay.toml" in first
    assert "pytest" in second


def test_the_readme_s_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = (text for language, text in blocks("README.md") if language == "python")
    torch.manual_seed(0)
    exec(code, {})  # noqa: S102 - the document's own example
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["antisymmetric", "torch.nn.LSTM"]
    assert abs(float(lines[0][1])) < 1.0
    assert float(lines[1][1]) < -100.0
    assert all(line[2] == "True" for line in lines)


def test_the_readme_s_own_cell_is_probed_from_python_and_from_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, code = (text for language, text in blocks("README.md") if language == "python")
    torch.manual_seed(0)
    exec(code, {"__name__": "readme"})  # noqa: S102 - the document's own example
    assert "log_sigma          autograd_chunked" in capsys.readouterr().out
    (command,) = (text for _, text in blocks("README.md") if text.startswith("gradprobe probe"))
    class_only = code[: code.index("frame = ")]
    (tmp_path / "mycells.py").write_text(class_only)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, [*command.split()[1:], "--length", "20"])
    assert done.exit_code == 0, done.output
    assert "Leaky: 64 state entries" in done.output


def test_the_model_of_contributing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(text for _, text in blocks("CONTRIBUTING.md") if "class Leaky" in text)
    name = module_of(code, "gradprobe_example_leaky", monkeypatch)
    monkeypatch.setitem(MODELS, "leaky", f"{name}:Leaky")
    model = models.build("leaky", input_size=2, hidden_size=5, leak=0.2, dtype=torch.float64)
    table = probes.probe(model, torch.zeros(30, 1, 2), lengths=[30])
    assert table["resolved"].all()


def test_the_cell_of_one_s_own_of_contributing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(text for _, text in blocks("CONTRIBUTING.md") if "class Highway" in text)
    name = module_of(code, "gradprobe_example_highway", monkeypatch)
    [mark] = sys.modules[name].test_highway.pytestmark
    for check in mark.args[1]:
        sys.modules[name].test_highway(check)
    assert len(mark.args[1]) == len({str(check) for check in mark.args[1]}) > 15


def test_the_probe_of_contributing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(text for _, text in blocks("CONTRIBUTING.md") if "def log_determinant" in text)
    name = module_of(code, "gradprobe_example_probe", monkeypatch)
    monkeypatch.setitem(PROBES, "log_determinant", f"{name}:log_determinant")
    model = models.build("gru", input_size=2, hidden_size=5, dtype=torch.float64)
    inputs = torch.ones(4, 3, 2, dtype=torch.float64)
    table = probes.probe(model, inputs, ["log_determinant"], [2, 4])
    expected: list[Any] = []
    for t in (2, 4):
        jacobian = probes.dense_reference.end_to_end_jacobian(model, inputs[:t], start=t - 1)
        expected.extend(np.linalg.slogdet(jacobian.numpy()).logabsdet)
    np.testing.assert_allclose(table["value"], expected, rtol=1e-12)


def test_the_task_of_contributing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(text for _, text in blocks("CONTRIBUTING.md") if "class Parity" in text)
    name = module_of(code, "gradprobe_example_parity", monkeypatch)
    monkeypatch.setitem(TASKS, "parity", f"{name}:Parity")
    task = tasks.build("parity", length=30)
    inputs, targets = task.draw(5, torch.Generator().manual_seed(0))
    assert inputs.shape == (30, 5, 1)
    assert torch.equal(inputs.sum((0, 2)) % 2, targets.double())
