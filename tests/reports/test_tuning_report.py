"""The folder reports/tuning is what its tables give."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import rebuild_tuning
from tuning_page import page

HERE = Path(rebuild_tuning.__file__).parent


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    scores, runs = (pd.read_csv(HERE / name) for name in ("scores.csv", "trainings.csv"))
    return scores, runs


def test_every_candidate_was_trained_as_often_as_every_other(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    scores, runs = tables
    assert set(scores["study"]) == set(rebuild_tuning.DEFAULTS)
    for (study, task), mine in runs.groupby(["study", "task"]):
        ranked = scores[(scores["study"] == study) & (scores["task"] == task)]
        assert set(mine["model"]) == set(ranked["model"])
        assert mine.groupby("model")["seed"].apply(sorted).map(tuple).nunique() == 1
        assert mine.groupby("model")["seed"].nunique().eq(5).all()


def test_the_page_says_what_the_tables_say(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, runs = tables
    related, against = rebuild_tuning.compared(scores, runs)
    assert page(scores, runs, related, against) == (HERE / "README.md").read_text(encoding="utf-8")
    stored = pd.read_csv(HERE / "correlations.csv")
    pd.testing.assert_frame_equal(related, stored, check_dtype=False, rtol=1e-9)
