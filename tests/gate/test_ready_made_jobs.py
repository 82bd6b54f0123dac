"""The jobs in examples/ci: their commands, run as they stand in a project that copies them."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from faults import FAULTS
from gate_results import STUDY, store

from gradprobe import gate

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "examples" / "ci"
TRANSPOSED = next(fault for fault in FAULTS if fault.name == "recurrent matrix transposed")


def github() -> list[str]:
    steps = yaml.safe_load((JOBS / "github-actions.yml").read_text())["jobs"]["stability"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def gitlab() -> list[str]:
    commands: list[str] = yaml.safe_load((JOBS / "gitlab-ci.yml").read_text())["stability"][
        "script"
    ]
    return commands


def tox(file: Path, section: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file)
    commands = parser[section]["commands"].strip().splitlines()
    places = {"{env_tmp_dir}{/}stability": "results/stability", "{posargs}": ""}
    for word, place in places.items():
        commands = [command.replace(word, place) for command in commands]
    return commands


TOX = {
    "copied tox environment": (JOBS / "tox.ini", "testenv:stability"),
    "own tox environment": (ROOT / "tox.ini", "testenv:gate"),
}
COMMANDS = {"GitHub": github(), "GitLab": gitlab()} | {
    name: tox(*place) for name, place in TOX.items()
}


def run(command: str, project: Path) -> int:
    program, *arguments = shlex.split(command)
    assert program == "gradprobe"
    clean = {key: value for key, value in os.environ.items() if key != "GITHUB_STEP_SUMMARY"}
    finished = subprocess.run(
        [sys.executable, "-m", "gradprobe", *arguments],
        cwd=project, env=clean, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in finished.stderr
    return finished.returncode


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a study, its baseline and its results."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "studies").mkdir()
    (folder / "studies" / "stability.toml").write_text(STUDY.replace("SEEDS", "[0]"))
    results = gate.read_measured(store(folder / "results" / "stability", [0]))
    gate.write_baseline(gate.Baseline.of(results), folder / "studies" / "stability.json")
    return folder


@pytest.mark.parametrize("job", COMMANDS)
def test_a_job_runs_the_study_and_then_the_check(job: str) -> None:
    programs = [command for command in COMMANDS[job] if command.startswith("gradprobe ")]
    assert [program.split()[1] for program in programs] == ["run", "check"]
    others = [command for command in COMMANDS[job] if command not in programs]
    assert others in ([], ["pip install gradprobe"])


@pytest.mark.parametrize("job", ["GitHub", "copied tox environment"])
def test_a_sound_model_passes_the_job(job: str, project: Path) -> None:
    for command in COMMANDS[job][-2:]:
        assert run(command, project) == 0


@pytest.mark.parametrize("job", ["GitLab", "own tox environment"])
def test_a_faulty_model_fails_the_job(job: str, project: Path, tmp_path: Path) -> None:
    store(tmp_path / "results" / "stability", [0], TRANSPOSED)
    (tmp_path / "studies").symlink_to(project / "studies")
    assert run(COMMANDS[job][-1], tmp_path) == 1
