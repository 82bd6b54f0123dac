"""The order of candidates: scores, the bound, and what the order is uncertain by."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradprobe import tuning
from gradprobe.errors import ArgumentError
from gradprobe.tuning.component_table import NEEDED
from gradprobe.tuning.example import CANDIDATES, SIGMAS, example_table
from gradprobe.tuning.ranking import positions


def scores_table(scores: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    """Return the example's table with other scores, and every candidate within the bound."""
    first = example_table()
    first = first[(first["model"] == "σ_w = 1") & (first["seed"] == 0)]
    tables = [
        first.assign(
            model=label,
            seed=seed,
            value=first["value"].where(first["quantity"] != "explained_variance", score),
        )
        for label, mine in scores.items()
        for seed, score in enumerate(mine)
    ]
    return pd.concat(tables, ignore_index=True)


def row(table: pd.DataFrame, label: str, seed: int | None = None) -> dict[Hashable, Any]:
    """Return the one row of a candidate."""
    mine = table[table["model"] == label]
    (found,) = (mine if seed is None else mine[mine["seed"] == seed]).to_dict("records")
    return found


def test_components_are_those_of_the_table() -> None:
    rows = tuning.components(example_table()).set_index(["model", "seed"])
    assert len(rows) == 9
    for label, (scores, log_sigma) in CANDIDATES.items():
        mine = rows.loc[label]
        assert mine["explained_variance"].tolist() == list(scores)
        assert set(mine["log_sigma_max"]) == {log_sigma}
        expected = np.sqrt(np.mean([(log_sigma + beside) ** 2 for beside in SIGMAS]))
        np.testing.assert_allclose(mine["rms_log_sigma"], expected, rtol=1e-15)


def test_only_the_longest_length_and_the_start_of_a_training_count() -> None:
    table = example_table()
    shorter, later = table.assign(length=50, value=7.0), table.assign(iteration=10, value=9.0)
    both = pd.concat([shorter, table, later], ignore_index=True)
    pd.testing.assert_frame_equal(tuning.components(both), tuning.components(table))


def test_what_was_not_resolved_is_missing_and_what_is_zero_is_infinite() -> None:
    table = example_table()
    first = (table["model"] == "σ_w = 1") & (table["seed"] == 0) & (table["sequence"] == 0)
    zero = table.assign(value=table["value"].mask(first & (table["rank"] == 2), -np.inf))
    unresolved = table.assign(resolved=table["resolved"].mask(first, False))
    of_zero, of_unresolved = (
        row(tuning.components(changed), "σ_w = 1", 0) for changed in (zero, unresolved)
    )
    assert of_zero["rms_log_sigma"] == np.inf
    assert of_zero["log_sigma_max"] == 0.5
    assert np.isnan(of_unresolved["log_sigma_max"])
    ranked = tuning.rank(unresolved)
    assert not row(ranked, "σ_w = 1")["within_bound"]
    assert row(ranked, "σ_w = 4")["within_bound"]


@pytest.mark.parametrize(
    ("bound", "order"),
    [
        (10.0, ["σ_w = 4", "σ_w = 1", "σ_w = 16"]),
        (1.0, ["σ_w = 1", "σ_w = 16", "σ_w = 4"]),
        (50.0, ["σ_w = 16", "σ_w = 4", "σ_w = 1"]),
    ],
)
def test_candidates_within_the_bound_come_first(bound: float, order: list[str]) -> None:
    assert tuning.rank(example_table(), bound=bound)["model"].tolist() == order


def test_a_bound_must_be_positive() -> None:
    with pytest.raises(ArgumentError, match="bound must be a positive number"):
        tuning.rank(example_table(), bound=0.0)


def test_equal_candidates_share_a_rank_and_one_without_a_score_is_last() -> None:
    scores, within = np.array([np.nan, 0.1, 0.3, 0.1, 0.9]), np.array([True] * 4 + [False])
    assert positions(scores, within).tolist() == [4, 2, 1, 2, 5]


def test_scores_are_means_with_the_interval_of_a_bootstrap() -> None:
    mine = (0.1, 0.5, 0.2, 0.4, 0.35)
    ranked = row(tuning.rank(scores_table({"one": mine})), "one")
    assert ranked["score"] == pytest.approx(np.mean(mine), rel=1e-14)
    every = np.mean(list(product(mine, repeat=5)), axis=1)  # all resamples that there are
    low, high = np.quantile(every, [0.025, 0.975])
    assert ranked["score_low"] == pytest.approx(low, abs=0.015)
    assert ranked["score_high"] == pytest.approx(high, abs=0.015)


def test_ranks_are_compared_at_the_same_seeds() -> None:
    """What all candidates share at a seed does not blur their order."""
    shared = np.array([0.0, 0.5, -0.4, 0.3, 0.1])
    better, worse = (tuple(float(x) for x in shared + offset) for offset in (0.01, 0.0))
    ranked = tuning.rank(scores_table({"worse": worse, "better": better}))
    names = ("rank", "rank_low", "rank_high", "first")
    assert [row(ranked, "better")[name] for name in names] == [1, 1, 1, 1]
    assert [row(ranked, "worse")[name] for name in names] == [2, 2, 2, 0]


def test_an_order_that_depends_on_the_seeds_is_uncertain() -> None:
    table = scores_table({"a": (0.1, 0.9, 0.1), "b": (0.3, 0.3, 0.3)})
    ranked = row(tuning.rank(table), "a")
    assert ranked["rank"] == 1
    # a is first unless the seed of 0.9 is not drawn at all, which has the probability (2/3)³.
    assert ranked["first"] == pytest.approx(1 - (2 / 3) ** 3, abs=0.04)
    assert (ranked["rank_low"], ranked["rank_high"]) == (1, 2)


def test_the_same_table_gives_the_same_ranking() -> None:
    table = scores_table({"a": (0.1, 0.9, 0.1), "b": (0.3, 0.3, 0.35)})
    pd.testing.assert_frame_equal(tuning.rank(table), tuning.rank(table))


def test_one_seed_gives_no_interval() -> None:
    ranked = tuning.rank(scores_table({"a": (0.1,), "b": (0.3,)}))
    assert ranked["model"].tolist() == ["b", "a"]
    assert ranked[["rank_low", "rank_high", "first", "score_low"]].isna().all(axis=None)
    assert "as far as one seed can tell" in tuning.as_text(ranked)


def test_tasks_are_ranked_apart() -> None:
    other = example_table("other")
    mask = other["quantity"] == "explained_variance"
    other = other.assign(value=other["value"].mask(mask, -other["value"]))
    ranked = tuning.rank(pd.concat([example_table(), other], ignore_index=True))
    leaders = ranked[ranked["rank"] == 1].set_index("task")["model"]
    assert leaders.to_dict() == {"digits": "σ_w = 4", "other": "σ_w = 1"}


def test_a_table_without_the_probes_gives_no_candidates() -> None:
    table = example_table()
    assert tuning.rank(table[~table["probe"].isin(NEEDED)]).empty


def test_nothing_is_suggested_where_the_states_tell_nothing() -> None:
    ranked = tuning.rank(scores_table({"a": (-0.1, 0.05, -0.02), "b": (-0.2, -0.1, -0.3)}))
    assert "nothing is suggested: no candidate’s state tells" in tuning.suggestion(ranked)
