"""The page: parsed as HTML, its words against the table, and no input that breaks it."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from html_page import Page

from gradprobe.errors import StoreError
from gradprobe.reports import build_report
from gradprobe.reports.example import (
    PROBES,
    ExampleCell,
    ExampleResults,
    ExampleStudy,
    example_results,
)

if TYPE_CHECKING:
    import pandas as pd

HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload=alert(1) x='",
    "]]>--><!-- &lt; &amp; &#0;",
    "{{ 7 * 7 }} {% raw %}",
    "$\\frac{1}{2}$ _hidden_ ^x",
    "_leading underscore",
    "\u202eright to left\u202c עברית",
    "漢字 🧪 \u0301",
    "line\nbreak\ttab\x1b[31m",
    "a" * 300,
    " ",
]


@pytest.fixture(scope="module")
def results() -> ExampleResults:
    return example_results(seeds=3)


@pytest.fixture(scope="module")
def page(results: ExampleResults) -> Page:
    return Page(build_report(results))


def gains_of(table: pd.DataFrame, model: str) -> np.ndarray:
    rows = table[(table["model"] == model) & (table["quantity"] == "log_norm_fro")]
    rows = rows[(rows["matrix"] == "end_to_end") & (rows["step"] == 1000)]
    return rows["value"].to_numpy() - 0.5 * math.log(16)


def test_the_page_needs_nothing_else(page: Page) -> None:
    assert page.tags["script"] == 1
    assert page.tags["img"] == page.tags["iframe"] == page.tags["object"] == 0
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    values = [value or "" for name, value in page.attributes if name in {"src", "href"}]
    assert all(value.startswith("#") or value == "data:," for value in values)


def test_ids_are_unique_and_every_link_leads_somewhere(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    references = [value for name, value in page.attributes if name == "aria-labelledby"]
    for reference in references:
        assert set((reference or "").split()) <= set(page.ids)


def test_every_drawing_has_a_text(page: Page) -> None:
    drawings = [value for name, value in page.attributes if (name, value) == ("role", "img")]
    assert len(drawings) == page.tags["desc"] == page.tags["title"] - 1
    assert len(drawings) > 20


def test_the_answer_tells_each_models_gain_and_range(results: ExampleResults, page: Page) -> None:
    answer = page.text("answer")
    for model in ("vanilla", "GRU", "LSTM, forget bias 1"):
        gain = gains_of(results.table, model)
        low, mid, high = (f"e−{-value:.0f}" for value in (gain.min(), np.median(gain), gain.max()))
        sentence = f"{model} loses the gradient: ×{mid} ({low} … {high} over 3 seeds × 2 sequences)"
        assert sentence in answer
        halving = math.log(2) / -np.median(gain) * 1000
        assert f"{sentence}, halving every {halving:.1f} steps." in answer


def test_a_survivor_is_bounded_over_all_steps(results: ExampleResults, page: Page) -> None:
    table = results.table
    rows = table[(table["model"] == "AntisymmetricRNN, γ = 0.1")]
    rows = rows[(rows["quantity"] == "log_norm_fro") & (rows["matrix"] == "end_to_end")]
    reach = (rows["value"] - 0.5 * math.log(16)).abs().max()
    bound = math.ceil(reach * 100) / 100
    sentence = f"AntisymmetricRNN, γ = 0.1 keeps the gradient within e±{bound:.2f} at every step"
    assert sentence in page.text("answer")


def test_the_lead_counts_the_verdicts(page: Page) -> None:
    lead = page.text("answer").removeprefix(" The answer ")
    assert lead.startswith("The answer Over 1000 steps, the gradient survives in 4 of the 9 models")
    assert "it decays in 1 (LSTM, forget bias 5)" in lead
    assert "explodes in 1 (unstable)" in lead
    assert "vanishes in 3 (vanilla; LSTM, forget bias 1; GRU)" in lead


def test_the_signs_of_the_real_parts_are_told(page: Page) -> None:
    answer = page.text("answer")
    assert "zero to rounding (at most 1.0×10⁻¹⁴) in AntisymmetricRNN, γ = 0" in answer
    assert "of both signs (−0.2 to 0.2) in gated AntisymmetricRNN" in answer


def test_unresolved_values_are_counted(results: ExampleResults, page: Page) -> None:
    open_ = int((~results.table["resolved"]).sum())
    assert f"{open_} of {len(results.table)} values" in page.text("answer")
    mine = results.table[results.table["model"] == "LSTM, forget bias 5"]
    spectra = mine[(mine["quantity"] == "log_sigma") & (mine["length"] == 400)]
    cell = f"{int((~spectra['resolved']).sum())} of {len(spectra)}"
    assert cell in page.text("unresolved")


def test_provenance_names_seeds_cells_command_and_study(page: Page) -> None:
    text = page.text("provenance")
    assert "27 cells" in text
    assert "0, 1, 2" in text
    assert "gradprobe report RESULTS" in text
    assert 'name = "gradient_decay"' in text


def test_runs_that_disagree_are_told() -> None:
    results = example_results(models=1, seeds=2)
    table = results.table
    norms = (table["quantity"] == "log_norm_fro") & (table["seed"] == 1) & (table["step"] > 0)
    table.loc[norms, "value"] = 0.5 * math.log(16) + 5
    text = Page(build_report(results)).text("answer")
    assert "Its 4 runs do not agree" in text
    assert "in 2 it grows" in text


def test_no_gradient_at_all_is_told_and_drawn_on_a_rail() -> None:
    results = example_results(models=2)
    table = results.table
    gone = (table["quantity"].isin(["log_norm_fro", "log_sigma"])) & (table["step"] > 0)
    table.loc[gone, "value"] = -math.inf
    text = build_report(results)
    assert "vanilla passes on no gradient: it is exactly zero" in Page(text).text("answer")
    assert "−∞</text>" in text


def test_what_is_wholly_unresolved_is_not_judged() -> None:
    results = example_results(models=2)
    table = results.table.assign(resolved=False, error=math.inf)
    page = Page(build_report(replace(results, table=table)))
    assert (
        "the gradient survives in none of the 2 models; it is not determined in both"
        in page.text("answer")
    )
    assert "no bound" in page.text("unresolved")


@pytest.mark.parametrize("probe", PROBES)
def test_one_probe_is_enough(probe: str) -> None:
    page = Page(build_report(example_results(models=6, probes=[probe])))
    text = page.text()
    assert ("Singular values were not measured." in text) == (probe != "singular_values")
    assert ("Eigenvalues of single steps were not measured." in text) == (
        probe != "eigenvalue_real_parts"
    )
    assert ("gradient" in page.ids) == (probe == "gradient_norm")
    assert ("is not answered here" in text) == (probe == "eigenvalue_real_parts")


@pytest.mark.parametrize(
    "sizes",
    [
        {"models": 1, "seeds": 1, "sequences": 1, "lengths": [1], "units": 1},
        {"models": 1, "lengths": [7]},
        {"models": 30, "units": 4, "lengths": [40]},
    ],
    ids=["least", "one model", "thirty models"],
)
def test_sizes_and_no_nan(sizes: dict[str, int]) -> None:
    text = build_report(example_results(**sizes))  # type: ignore[arg-type]
    assert len(text.encode()) < 2_000_000
    assert not re.search(r"\b(nan|inf|none|<na>)\b", Page(text).text(), flags=re.IGNORECASE) or (
        "none of the" in text
    )
    assert not re.search(
        r"\b(NaN|inf)\b", re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S)
    )


def test_every_kind_of_name_is_shown_as_it_is() -> None:
    results = example_results(models=len(HOSTILE), labels=HOSTILE, lengths=[30], units=6)
    study = ExampleStudy(name="<i>n</i>", question="<b>q</b> {{ 1 }}?", text="<x> & </pre>\n")
    cells = [replace(cell, provenance={"<u>k</u>": "<u>v</u>"}) for cell in results.cells]
    cells.append(ExampleCell("<s>l</s>", "<s>t</s>", 9, status="failed", error="<s>e</s>"))
    text = build_report(replace(results, study=study, cells=cells), command="<kbd>")
    page = Page(text)
    assert page.tags["script"] - 1 == page.tags["i"] - Counter(re.findall("<i>", text))["<i>"] == 0
    assert not {"s", "u", "x", "kbd"} & set(page.tags)
    shown = page.text()
    for part in ("<script>alert(1)</script>", "<b>q</b> {{ 1 }}?", "<u>k</u>", "<s>e</s>", "<kbd>"):
        assert part in shown
    for label in (HOSTILE[1], HOSTILE[2], HOSTILE[3], HOSTILE[4], HOSTILE[5], HOSTILE[7]):
        assert re.sub(r"\s+", " ", label) in shown
    assert "line␊break␉tab␛[31m" in shown
    text.encode("utf-8")


def test_a_name_in_a_figure_is_escaped_there_too() -> None:
    results = example_results(models=1, labels=["<script>alert(1)</script>"], lengths=[9])
    text = build_report(results)
    assert "Singular spectrum of &lt;script&gt;alert(1)&lt;/script&gt;</title>" in text
    assert re.search(r"<text[^>]*>&lt;script&gt;alert", text)


def test_equal_results_give_equal_pages() -> None:
    few = example_results(models=5, lengths=[30], units=6)
    again = example_results(models=5, lengths=[30], units=6)
    assert few is not again
    assert build_report(few) == build_report(again)


def test_failed_and_missing_cells_are_named_before_the_answer() -> None:
    results = example_results(models=2, seeds=1, lengths=[20])
    failed = ExampleCell("GRU", "digits", 4, status="failed", error="NonFiniteError: inf at t = 3")
    missing = [failed, ExampleCell("LSTM", "digits", 1)]
    text = build_report(replace(results, cells=[*results.cells, failed], missing=missing))
    assert text.index('id="missing"') < text.index('id="answer"')
    words = Page(text).text("missing")
    assert "2 cells missing" in words
    assert "GRU, digits, seed 4 failed: NonFiniteError: inf at t = 3" in words
    assert "LSTM, digits, seed 1 was not computed" in words


def test_no_finished_cell_is_an_error() -> None:
    results = example_results(models=1, seeds=1, lengths=[5])
    failed = ExampleCell("GRU", "digits", 4, status="failed", error="out of memory")
    nothing = replace(results, table=results.table.head(0), cells=[failed])
    with pytest.raises(StoreError, match=r"at least one finished cell.*out of memory"):
        build_report(nothing)


def test_reports_never_import_torch() -> None:
    code = (
        "import sys; from gradprobe.reports import build_report;"
        "from gradprobe.reports.example import example_results;"
        "build_report(example_results(models=1, lengths=[5]));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
