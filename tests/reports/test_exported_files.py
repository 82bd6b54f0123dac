"""Reports as files, pages of many models, and values that are no numbers."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from html_page import Page

from gradprobe.errors import StoreError
from gradprobe.reports.example import example_results
from gradprobe.reports.exported_files import export_report
from gradprobe.reports.merging import Named
from gradprobe.reports.page import build_report
from gradprobe.reports.writing import together

if TYPE_CHECKING:
    from pathlib import Path

    from gradprobe.reports.example import ExampleResults

HOSTILE = "=<script>alert(1)</script>\n| *ｂ*"


def few(models: int, labels: tuple[str, ...] = (), **sizes: int) -> ExampleResults:
    """Return small results with gradient norms alone."""
    return example_results(
        models=models,
        labels=labels,
        lengths=[4],
        units=4,
        sequences=1,
        probes=["gradient_norm"],
        **sizes,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a comparison in which one of two models has changed."""
    old = few(2, ("GRU", HOSTILE), seeds=4)
    grown = old.table["value"].where(old.table["model"] != HOSTILE, old.table["value"] + 30)
    new = replace(old, table=old.table.assign(value=grown))
    results, comparison = together([Named("old", old), Named("new", new)])
    folder = tmp_path_factory.mktemp("exported") / "made"
    written = export_report(results, comparison, folder, "gradprobe report `old` new")
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    return folder


def test_the_markdown_tells_what_changed_and_links_to_every_figure(exported: Path) -> None:
    text = (exported / "report.md").read_text(encoding="utf-8")
    assert "## new against old" in text
    assert "changed beyond the noise between seeds" in text
    assert "<script>" not in text
    assert "\\<script\\>alert(1)\\</script\\>␊\\| \\*ｂ\\*" in text
    for picture in (exported / "figures").glob("*.svg"):
        assert f"](figures/{picture.name})" in text
        assert ET.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - written just now
        assert picture.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert {path.stem for path in (exported / "figures").glob("*.svg")} == {
        "backward",
        "cost-time-step",
        "gradient",
    }


def test_the_tables_hold_every_number(exported: Path) -> None:
    norms = pd.read_csv(exported / "tables" / "gradient.csv")
    old = few(2, ("GRU", HOSTILE), seeds=4).table
    rows = old[(old["quantity"] == "log_norm_fro") & (old["matrix"] == "end_to_end")]
    gru = rows[rows["model"] == "GRU"].groupby("step")["value"].median() - 0.5 * math.log(4)
    np.testing.assert_allclose(norms[norms["series"] == "GRU"]["median"], gru, atol=1e-12)
    assert norms["series"].str.startswith(("GRU", "'=<script>")).all()
    changes = pd.read_csv(exported / "tables" / "changes.csv")
    grown = changes[changes["noise"] == "beyond the noise"]
    # the norm at t = T alone moved, for its mean over the steps takes part in the same shift
    np.testing.assert_allclose(grown["difference"], 30.0)
    assert grown["p"].max() <= 0.05


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.*cannot be written"):
        export_report(few(1), None, tmp_path / "file", "")


def test_of_many_models_those_spread_over_the_ranking_are_drawn() -> None:
    page = Page(build_report(few(30, seeds=1)))
    assert "Drawn are 24 of 30 models, spread evenly over the ranking by log gain" in page.text()
    summary = page.text("summary")
    for name in ("vanilla", "vanilla, variant 3", "GRU, variant 2"):
        assert name in summary
    assert "survives in all 30" in page.text("answer")


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_values_that_are_no_numbers_make_a_page(value: float) -> None:
    results = few(2, seeds=2)
    broken = results.table["value"].where(results.table["model"] != "vanilla", value)
    results = replace(results, table=results.table.assign(value=broken))
    both, comparison = together([Named("old", few(2, seeds=2)), Named("broken", results)])
    text = Page(build_report(both, comparison=comparison)).text()
    assert "not resolved after" in text or "beyond" in text or "∞" in text
    assert " nan" not in text.lower()
