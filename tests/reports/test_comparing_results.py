"""Several results on one page: what changed, whether seeds alone would do it, and bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gate_results import store
from html_page import Page
from typer.testing import CliRunner

from gradprobe import frame
from gradprobe.cli import app
from gradprobe.errors import NotComparableError
from gradprobe.reports.changes import Direction, Noise, changes
from gradprobe.reports.differing_settings import differing_settings
from gradprobe.reports.example import ExampleCell, ExampleResults, example_results
from gradprobe.reports.merging import Named
from gradprobe.reports.page import build_report
from gradprobe.reports.writing import together

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from gradprobe.reports.changes import Change

HOSTILE = "<script>alert(1)</script>\n\u202e\"'🧪"


def losses(values: list[float], seeds: range | None = None, **columns: object) -> pd.DataFrame:
    """Return test losses by seed; those that are NaN are not resolved."""
    described = {"model": "GRU", "task": "digits", "quantity": "test_loss", **columns}
    return frame.rows(
        **described,
        probe="training",
        iteration=9,
        seed=list(seeds or range(len(values))),
        value=values,
        resolved=[not math.isnan(value) for value in values],
    )


def change(before: pd.DataFrame, after: pd.DataFrame) -> Change:
    """Return what became of the test loss."""
    found = changes(before, after).found
    return next(one for one in found if one.name.quantity == "test_loss")


def test_a_shift_beyond_all_seeds_is_beyond_the_noise_with_the_probability_of_its_rank() -> None:
    found = change(losses([1.0, 1.1, 1.2, 1.3, 1.4]), losses([3.0, 3.1, 3.2, 3.3, 3.5]))
    assert (found.noise, found.direction) == (Noise.BEYOND, Direction.WORSE)
    # only the split at hand and its mirror image separate the sides: 2 of 10!/(5! 5!) = 252
    assert found.chance == pytest.approx(2 / 252, rel=0.35)
    assert found.difference == pytest.approx((2.0, 2.0, 2.1, 5))
    assert found.before == pytest.approx((1.2, 1.0, 1.4, 5))


def test_a_shift_within_the_seeds_is_not() -> None:
    found = change(losses([1.0, 2.0, 3.0, 4.0, 5.0]), losses([1.1, 2.1, 3.1, 4.1, 5.1]))
    assert found.noise is Noise.WITHIN
    assert found.chance > 0.5
    assert found.difference.median == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("after", "noise"), [([3.0, 4.0, 5.0], Noise.APART), ([1.0, 2.5, 9.0], Noise.WITHIN)]
)
def test_three_seeds_are_told_by_their_ranges(after: list[float], noise: Noise) -> None:
    found = change(losses([1.0, 1.5, 2.0]), losses(after))
    assert found.noise is noise
    assert math.isnan(found.chance)


def test_one_seed_tells_no_noise_and_equal_values_are_unchanged() -> None:
    assert change(losses([1.0]), losses([1.5])).noise is Noise.ONE_SEED
    # trained values may differ by rounding: within the gate's tolerance of 0.01
    assert change(losses([1.0, 2.0]), losses([1.009, 2.0])).noise is Noise.EQUAL
    assert change(losses([1.0, 2.0]), losses([1.03, 2.0])).noise is not Noise.EQUAL


def test_other_seeds_are_compared_by_their_medians() -> None:
    found = change(losses([1.0, 1.1, 1.2, 1.3]), losses([2.0, 2.1, 2.2, 2.3], range(50, 54)))
    assert found.difference == pytest.approx((1.0, 1.0, 1.0, 0))
    assert found.noise is Noise.BEYOND
    assert found.chance == pytest.approx(2 / 70, rel=0.2)


def test_infinities_and_what_is_not_resolved() -> None:
    described = {"probe": "p", "matrix": "end_to_end", "quantity": "log_norm_fro", "step": 3}
    zero, tiny, unknown = (
        frame.rows(length=3, seed=[0, 1], value=value, resolved=not np.isnan(value), **described)
        for value in (-np.inf, -700.0, np.nan)
    )
    assert changes(zero, zero).found[0].noise is Noise.EQUAL
    less = changes(zero, tiny).found[0]
    assert (less.noise, less.direction) == (Noise.APART, Direction.BETTER)
    assert less.difference.median == less.size == math.inf
    gone = changes(tiny, unknown).found[0]
    assert (gone.noise, gone.reason) == (Noise.NOT_JUDGED, "not resolved after")


def test_settings_versions_and_seeds_that_differ_are_named() -> None:
    def results(bias: float, torch: str, seeds: range) -> ExampleResults:
        cells = [
            ExampleCell(
                model,
                "digits",
                seed,
                specification={"seed": seed, "model": {"options": {"forget_bias": bias}}},
                provenance={"versions": {"torch": torch}},
            )
            for seed in seeds
            for model in ("LSTM", "peephole")
        ]
        return replace(example_results(models=1, lengths=[8]), cells=cells)

    found = differing_settings(results(1, "2.4", range(2)), results(5, "2.13", range(3)))
    assert [tuple(setting) for setting in found] == [
        ("", "model: options: forget_bias", "1", "5"),
        ("", "seeds", "0, 1", "0, 1, 2"),
        ("", "versions: torch", "2.4", "2.13"),
    ]


@pytest.fixture(scope="module")
def page() -> Page:
    old = example_results(
        models=2,
        labels=["GRU", HOSTILE],
        lengths=[10],
        seeds=5,
        units=4,
        probes=["gradient_norm"],
    )
    grown = old.table["value"].where(old.table["model"] != HOSTILE, 2 * old.table["value"])
    new = replace(old, table=old.table.assign(value=grown))
    results, comparison = together([Named("old", old), Named("<i>new", new)])
    return Page(build_report(results, comparison=comparison))


def test_the_page_leads_with_what_changed_and_escapes_names(page: Page) -> None:
    sections = list(page.texts)
    assert sections.index("changes") < sections.index("answer")
    text = page.text("changes")
    assert "<i>new against old" in text
    assert "changed beyond the noise between seeds" in text
    assert "<script>alert(1)</script>␊" in text
    assert page.tags["i"] < 40
    assert len(page.ids) == len(set(page.ids))


def test_what_is_equal_is_drawn_once(page: Page) -> None:
    summary = page.text("summary")
    assert "GRU · old" not in summary
    assert summary.count("␊") == 2
    assert "· old" in summary
    assert "· <i>new" in summary


def test_results_with_nothing_in_common_are_not_compared() -> None:
    one, other = (example_results(models=1, labels=[name], lengths=[8]) for name in "ab")
    with pytest.raises(NotComparableError, match="hold a on noise_padded_digits, and b on"):
        together([Named("one", one), Named("other", other)])


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_the_command_compares_folders_and_tells_what_is_wrong(tmp_path: Path) -> None:
    old = store(tmp_path / "old", range(2))
    halved = store(
        tmp_path / "new", range(2), edited=lambda table: table.assign(value=table["value"] / 2)
    )
    other = store(tmp_path / "other", range(2), edited=lambda table: table.assign(probe="another"))
    code, output = run(old, halved)
    assert (code, output.strip()) == (0, str(halved / "comparison.html"))
    text = Page((halved / "comparison.html").read_text(encoding="utf-8")).text()
    assert "new against old" in text
    assert f"gradprobe report {old} {halved} -o" in text
    code, output = run(old, other)
    assert code == 3
    assert output.startswith("gradprobe: not comparable: old and other have nothing in common")
    code, output = run(store(tmp_path / "empty", range(2), skipped=range(2)), old)
    assert code == 3
    assert "at least one finished cell" in output
    code, output = run(old, tmp_path / "nowhere")
    assert code == 2
    assert "holds no results" in output
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "results.sqlite").write_bytes(b"not a database" * 99)
    assert run(tmp_path / "foreign")[0] == 2
