"""`gradprobe tune` as a person meets it: a ranking, a report, and refusals that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from gradprobe import studies, tuning
from gradprobe.cli import app

STUDY = """\
name = "candidates"
question = "Which initialisation tells the digits apart?"
[[tasks]]
label = "digits"
name = "digits_rows"
[grid]
seeds = [0, 1, 2]
sequences = 60
[[models]]
label = "ε = {step_size}"
name = "antisymmetric"
hidden_size = 6
sweep = { options = { step_size = [0.001, 0.3] } }
[probes.linear_readout]
[probes.state_separation]
[probes.singular_values]
sequences = 2
"""


def tune(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    command = [sys.executable, "-m", "gradprobe", "tune", "study.toml", "--workers", "1"]
    return subprocess.run(
        [*command, *map(str, options)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_candidates_are_ranked_and_a_second_call_computes_nothing(tmp_path: Path) -> None:
    first = tune(tmp_path, "-o", "ranking.csv")
    assert first.returncode == 0, first.stderr
    assert "On digits, train ε = 0.3 first" in first.stdout
    results = tmp_path / "results" / "candidates"
    ranked = tuning.rank(studies.load(results))
    assert ranked["model"].tolist() == ["ε = 0.3", "ε = 0.001"]
    assert ranked["within_bound"].all()
    scores, rescaled = (
        ranked[column].tolist() for column in ("score", "explained_variance_rescaled")
    )
    assert scores[0] > 0.1
    assert scores[1] < 0.02  # states so close together take too large a readout
    assert rescaled[1] > 0.05
    stored = pd.read_csv(tmp_path / "ranking.csv")
    pd.testing.assert_frame_equal(stored, ranked, check_dtype=False, rtol=1e-12)
    page = (results / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="tuning">' in page
    second = tune(tmp_path, "-o", "ranking.csv")
    assert second.stdout == first.stdout
    assert "6 are stored already, 0 to compute" in second.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[probes.linear_readout]\n", "[training]\n[probes.linear_readout]\n", "no trainings"),
        ("[probes.state_separation]\n", "", "add:\n  [probes.state_separation]"),
        ("sequences = 60", "sequences = 2", "at least 3 sequences, got 2"),
    ],
)
def test_a_study_that_cannot_be_ranked_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = tmp_path / "study.toml"
    assert old in STUDY
    file.write_text(STUDY.replace(old, new), encoding="utf-8")
    result = CliRunner().invoke(app, ["tune", str(file), "--results", str(tmp_path / "results")])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "results").exists()
