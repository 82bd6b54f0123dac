"""The command line as a person or a script meets it: a process with output and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeAlias

import pytest
from patience import SECONDS_OF_PATIENCE

import gradprobe
from gradprobe import studies
from gradprobe.models.registry import MODELS
from gradprobe.probes.probing import DEFAULT_PROBES
from gradprobe.probes.registry import PROBES
from gradprobe.tasks.registry import TASKS

ROOT = Path(gradprobe.__file__).parent.parent

STUDY = """\
name = "quick"
question = "Do gradients survive 8 steps?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = [0, 1]
lengths = [4, 8]
sequences = 2
[[models]]
label = "GRU"
name = "gru"
hidden_size = 3
[[models]]
label = "AntisymmetricRNN"
name = "antisymmetric"
hidden_size = 3
[probes.singular_values]
[probes.gradient_norm]
[probes.eigenvalue_real_parts]
"""

OVERFLOWING_MODEL = """
[[models]]
label = "Exploding"
name = "feedback"
hidden_size = 3
options = { step_size = 1e308 }
"""


Finished: TypeAlias = "tuple[Path, subprocess.CompletedProcess[str]]"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "gradprobe", *map(str, arguments)]


def gradprobe_command(
    *arguments: str | Path, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_OF_PATIENCE,
    )


def refusal(*arguments: str | Path, folder: Path | None = None) -> str:
    """Return the message of a call that is refused: exit code 2, no output, no traceback."""
    result = gradprobe_command(*arguments, folder=folder)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    progress, found, message = result.stderr.partition("gradprobe: error: ")
    assert found, result.stderr
    assert progress in {"", "Starting the workers and building each model once\n"}
    return message.rstrip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> Finished:
    """Return a folder in which the quick study has run, and what the command printed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "quick.toml").write_text(STUDY)
    return folder, gradprobe_command("run", "quick.toml", folder=folder)


def test_a_run_ends_with_the_path_of_a_report(
    finished: Finished,
) -> None:
    folder, result = finished
    assert result.returncode == 0, result.stderr
    assert result.stdout == "results/quick/report.html\n"
    report = (folder / "results/quick/report.html").read_text()
    assert "Do gradients survive 8 steps?" in report
    assert "AntisymmetricRNN" in report
    lines = result.stderr.splitlines()
    assert "4 cells; 0 are stored already, 4 to compute" in lines
    assert sum(line.startswith("begun: ") for line in lines) == 4
    assert lines[-1].startswith("[4/4] finished: ")
    table = studies.load(folder / "results/quick")
    assert set(table["probe"]) == set(DEFAULT_PROBES)
    assert sorted(set(table["model"])) == ["AntisymmetricRNN", "GRU"]


def test_a_second_run_computes_nothing(
    finished: Finished,
) -> None:
    folder, _ = finished
    result = gradprobe_command("run", folder / "quick.toml", folder=folder)
    assert result.returncode == 0
    assert result.stdout == "results/quick/report.html\n"
    assert result.stderr == "4 cells; 4 are stored already, 0 to compute\n"


def test_a_report_can_be_written_elsewhere(finished: Finished, tmp_path: Path) -> None:
    folder, _ = finished
    output = tmp_path / "report of mine.html"
    result = gradprobe_command("report", folder / "results/quick", "-o", output)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output}\n"
    assert output.read_text().lower().startswith("<!doctype html>")
    assert names(tmp_path) == [output.name]


def test_a_report_that_cannot_be_written_or_made_is_refused(
    finished: Finished, tmp_path: Path
) -> None:
    results = finished[0] / "results/quick"
    nowhere = tmp_path / "absent" / "report.html"
    assert str(nowhere) in refusal("report", results, "-o", nowhere)
    assert str(tmp_path) in refusal("report", results, "-o", tmp_path)
    assert "holds no results" in refusal("report", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("sequences = 2", 'sequences = "2"', "grid.sequences: expected a valid integer, got '2'"),
        ("hidden_size = 3", "hidden_size = -3", "models[0].hidden_size (GRU): expected greater"),
        ("[4, 8]", "[4, 9]", "grid.lengths: expected at most the 8 steps of task 'digits_rows'"),
        ('"gru"', '"grru"', "models[0].name (GRU): unknown model 'grru'; the models are: "),
        ("[grid]", "[grid", "is not valid TOML: "),
        (
            'name = "gru"',
            'name = "gru"\noptions = { forget_bias = 1.0 }',
            "models[0] (GRU): model 'gru' has no option 'forget_bias'; its options are: ",
        ),
        (
            "[probes.singular_values]",
            "[probes.singular_values]\nblok = 1",
            "probes.singular_values: probe 'singular_values' has no option 'blok'",
        ),
    ],
)
def test_a_broken_study_is_refused_and_leaves_nothing(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    (tmp_path / "broken.toml").write_text(STUDY.replace(before, after))
    assert expected in refusal("run", "broken.toml", folder=tmp_path)
    assert names(tmp_path) == ["broken.toml"]


def test_a_results_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    study, file = tmp_path / "quick.toml", tmp_path / "file"
    study.write_text(STUDY)
    file.write_text("mine")
    for path in (file, file / "below"):
        expected = f"{path}: expected a folder for results, but {file} is a file"
        assert refusal("run", study, "--results", path) == expected
    (tmp_path / "results.sqlite").write_text("not a database")
    assert "cannot be read or written here" in refusal("run", study, "--results", tmp_path)
    assert file.read_text() == "mine"
    assert names(tmp_path) == ["file", "quick.toml", "results.sqlite"]


def test_a_failed_cell_is_named_and_the_others_are_reported(tmp_path: Path) -> None:
    text = STUDY.replace("[probes.singular_values]", OVERFLOWING_MODEL + "[probes.singular_values]")
    (tmp_path / "quick.toml").write_text(text)
    result = gradprobe_command("run", "quick.toml", folder=tmp_path)
    assert result.returncode == 3, result.stderr
    assert result.stdout == "results/quick/report.html\n"
    assert "gradprobe: failed: Exploding on digits_rows, seed 0: " in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last == (
        "gradprobe: error: 2 of 6 cells failed; `gradprobe retry results/quick` computes them again"
    )
    assert result.stderr.count("to compute it again: gradprobe retry results/quick ") == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [
        ("Starting the workers", signal.SIGINT, 130),
        ("begun: ", signal.SIGINT, 130),
        ("begun: ", signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, moment: str, number: signal.Signals, code: int
) -> None:
    long = STUDY.replace("digits_rows", "noise_padded_digits").replace("[4, 8]", "[4, 200]")
    (tmp_path / "long.toml").write_text(long.replace("hidden_size = 3", "hidden_size = 64"))
    process = subprocess.Popen(
        command("run", "long.toml"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    before = ""
    while moment not in before:
        line = process.stderr.readline()
        assert line, before
        before += line
    time.sleep(0.03)  # the worker processes are starting, or computing
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=SECONDS_OF_PATIENCE)
    assert process.returncode == code
    assert output == ""
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == (
        f"gradprobe: interrupted by {number.name}; finished cells are stored, "
        "and the same command goes on with the others"
    )


@pytest.mark.parametrize(
    ("kind", "registry"), [("models", MODELS), ("tasks", TASKS), ("probes", PROBES)]
)
def test_listing_names_everything_with_a_line(kind: str, registry: dict[str, str]) -> None:
    result = gradprobe_command("list", kind)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert list(lines) == list(registry)
    assert all(summary.endswith(".") for summary in lines.values())


def test_listing_studies_gives_paths_that_can_be_run() -> None:
    result = gradprobe_command("list", "studies", folder=ROOT)
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    found = {Path(path).name: studies.load_study(ROOT / path) for path in lines}
    question = "Do gradients survive 1000 steps at initialisation?"
    assert found["gradient_decay.toml"].question == question
    assert question in lines.values()


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "a.toml", "--workers", "0"), ("list", "songs"), ("fly",), ("--fast",)],
)
def test_a_wrong_call_shows_the_usage(arguments: tuple[str, ...]) -> None:
    result = gradprobe_command(*arguments)
    assert result.returncode == 2
    assert "Usage: gradprobe" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_version_and_help() -> None:
    assert gradprobe_command("--version").stdout == f"gradprobe {gradprobe.__version__}\n"
    text = gradprobe_command("--help").stdout
    for part in ("run", "report", "list", "Exit codes"):
        assert part in text


def test_help_imports_nothing_that_is_slow() -> None:
    script = (
        "import sys; sys.argv = ['gradprobe', '--help']\n"
        "from gradprobe.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'numpy', 'pandas', 'pydantic', 'pyarrow', 'matplotlib', 'sklearn'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert result.stdout.splitlines()[-1] == b"[]"
