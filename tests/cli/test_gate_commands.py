"""`gradprobe baseline` and `gradprobe check` as a job calls them: processes with exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from faults import FAULTS
from gate_results import store
from patience import SECONDS_OF_PATIENCE

BIAS = next(fault for fault in FAULTS if fault.name == "forget bias 0")


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "GITHUB_STEP_SUMMARY"}
    result = subprocess.run(
        [sys.executable, "-m", "gradprobe", *map(str, arguments)],
        capture_output=True, text=True, check=False,
        timeout=SECONDS_OF_PATIENCE, env={**clean, **environment},
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with results, their baseline, and results of models with a fault."""
    folder = tmp_path_factory.mktemp("gate")
    store(folder / "approved", [0, 1])
    store(folder / "faulty", [0, 1], BIAS)
    store(folder / "half", [0, 1], skipped=[1])
    store(folder / "empty", [0, 1], skipped=[0, 1])
    result = call("baseline", folder / "approved", "-o", folder / "baseline.json")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{folder / 'baseline.json'}: 28 metrics at 2 seeds\n"
    return folder


def test_results_pass_their_own_baseline(folder: Path) -> None:
    result = call("check", folder / "approved", "--baseline", folder / "baseline.json")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "PASSED: 28 unchanged"


def test_a_regression_fails_and_every_file_says_so(folder: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    outputs = {name: tmp_path / name for name in ("junit", "markdown", "json")}
    options = [part for name, path in outputs.items() for part in (f"--{name}", path)]
    result = call(
        "check", folder / "faulty", "--baseline", folder / "baseline.json", *options,
        GITHUB_STEP_SUMMARY=str(summary),
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, "")
    assert "LSTM, forget bias 1 on digits_rows" in result.stdout
    assert "Vanilla RNN" not in result.stdout
    last = result.stdout.splitlines()[-2:]
    assert last[0].startswith("FAILED: ")
    assert last[1] == f"To look at the results: gradprobe report {folder / 'faulty'}"
    content = json.loads(outputs["json"].read_text())
    failures = content["counts"]["regression"]
    assert failures > 1
    root = ET.parse(outputs["junit"]).getroot()  # noqa: S314 - written by the command
    assert root.attrib["failures"] == str(failures)
    markdown = outputs["markdown"].read_text()
    assert markdown.count("| **regression** |") == failures
    assert summary.read_text() == "before\n" + markdown


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ("half", "Vanilla RNN on digits_rows: not finished at seed 1"),
        ("empty", "nothing was measured"),
    ],
)
def test_what_cannot_be_compared_is_not_a_pass(folder: Path, results: str, words: str) -> None:
    result = call("check", folder / results, "--baseline", folder / "baseline.json")
    assert result.returncode == 3
    assert words in result.stdout
    assert result.stdout.splitlines()[-2].startswith("NOT COMPARABLE: ")
    approval = call("baseline", folder / results, "-o", folder / "never.json")
    assert approval.returncode == 3
    assert approval.stderr.startswith("gradprobe: not comparable: ")
    assert not (folder / "never.json").exists()


def test_a_baseline_of_another_format_is_not_comparable(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "baseline.json"
    other.write_text((folder / "baseline.json").read_text().replace('"format": 1', '"format": 2'))
    result = call("check", folder / "approved", "--baseline", other)
    assert result.returncode == 3
    assert "has format 2" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "missing", "--baseline", "BASELINE"], "missing: holds no results"),
        (["check", "RESULTS", "--baseline", "missing.json"], "missing.json: cannot be read"),
        (["check", "RESULTS", "--baseline", "RESULTS/results.sqlite"], "not a text file"),
        (["check", "RESULTS"], "--baseline"),
        (["check", "RESULTS", "--baseline", "BASELINE", "--fail-on", "anything"], "anything"),
        (
            ["check", "RESULTS", "--baseline", "BASELINE", "--junit", "no/j.xml"],
            "cannot be written",
        ),
        (["baseline", "RESULTS"], "--output"),
        (["baseline", "RESULTS", "-o", "no/baseline.json"], "cannot be written"),
    ],
)
def test_a_wrong_call_or_file_is_told_in_a_line(
    folder: Path, arguments: list[str], words: str
) -> None:
    places = {"RESULTS": str(folder / "approved"), "BASELINE": str(folder / "baseline.json")}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    result = call(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_check_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys, gradprobe.cli as cli\n"
        "try: cli.app(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    arguments = ["check", folder / "approved", "--baseline", folder / "baseline.json"]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "0 False"
