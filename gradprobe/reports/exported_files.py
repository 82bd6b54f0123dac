"""A report as files: Markdown, figures as SVG and PNG, and every table as CSV."""

from __future__ import annotations

import csv
import html
import io
import math
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import escape

from gradprobe.errors import StoreError
from gradprobe.reports import dynamics_answer, provenance
from gradprobe.reports.choice import choice_of
from gradprobe.reports.exhibits import exhibits
from gradprobe.reports.exporting import (
    accuracy_markdown,
    accuracy_numbers,
    escaped,
    facts_in_words,
    missing_in_words,
    training_curves,
)
from gradprobe.reports.figures.style import drawing
from gradprobe.reports.findings import find
from gradprobe.reports.further_answer import attribution_sentences, lyapunov_sentence
from gradprobe.reports.number_tables import written
from gradprobe.reports.numbers import MINUS, printable
from gradprobe.reports.portraits import portraits
from gradprobe.reports.series import with_series
from gradprobe.reports.summary import summarise
from gradprobe.reports.trainings import APART

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.figure import Figure

    from gradprobe.reports.comparison import Comparison
    from gradprobe.reports.contract import Results
    from gradprobe.reports.exhibits import Exhibit

MOST_ROWS = 50
"""A table in Markdown has at most so many rows; its CSV file has all."""

RESOLUTION = 144
"""Of PNG files, in dots per inch: two for each CSS pixel."""

_TAG = re.compile(r"<[^>]*>")
_KEPT = {"<sup>", "</sup>", "<sub>", "</sub>"}
_BOLD = ('<b class="series">', "</b>", "<b>")
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_report(
    results: Results, comparison: Comparison | None, folder: str | Path, command: str
) -> list[Path]:
    """Write ``report.md``, ``figures/*.svg``, ``figures/*.png`` and ``tables/*.csv``.

    Equal results give equal files, but for the PNG files of other versions of matplotlib.

    Parameters
    ----------
    results
        One result, or several merged ones.
    comparison
        What differs between the latter.
    folder
        It is made if it is not there; files of the same names are replaced.
    command
        What writes the files again.

    Returns
    -------
    list of pathlib.Path
        What was written, ``report.md`` first.

    Raises
    ------
    StoreError
        A file cannot be written.
    """
    place = Path(folder)
    cells = [cell for cell in results.cells if provenance.is_finished(cell)]
    order = list(dict.fromkeys(cell.label for cell in results.cells))
    measured = results.table[~results.table["probe"].isin(APART)]
    table = with_series(measured, order) if len(measured) else None
    summary = None if table is None else summarise(table)
    choice = choice_of(results, cells, table, summary)
    shown = results.table[results.table["model"].isin(choice.drawn)]
    drawn = [cell for cell in cells if cell.label in choice.drawn]
    try:
        for name in ("figures", "tables"):
            (place / name).mkdir(parents=True, exist_ok=True)
        figures = list(exhibits(shown if choice.sentence else results.table, drawn, order))
        files = [path for exhibit in figures for path in _figure(exhibit, place)]
        tables = _tables(results, comparison, summary)
        if choice.sentence:
            every = exhibits(results.table, cells, order)
            tables |= {exhibit.name: exhibit.numbers for exhibit in every}
        else:
            tables |= {exhibit.name: exhibit.numbers for exhibit in figures}
        files += [_table(frame, place / "tables" / f"{name}.csv") for name, frame in tables.items()]
        text = _markdown(results, comparison, (table, summary), figures, choice.sentence, command)
        (place / "report.md").write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder}: the report cannot be written: {error.strerror}"
        ) from error
    return [place / "report.md", *files]


def markdown_of(markup: object) -> str:
    r"""Return a sentence of the page in Markdown; everything from the results is escaped.

    Examples
    --------
    >>> from markupsafe import Markup
    >>> from gradprobe.reports.numbers import series_name
    >>> print(markdown_of(Markup("{} keeps e<sup>−2</sup>.").format(series_name("a_b <i>"))))
    **a\_b \<i\>** keeps e<sup>−2</sup>.
    """
    parts, last = [], 0
    text = str(escape(markup))
    for match in _TAG.finditer(text):
        parts.append(_marked(text[last : match.start()]))
        tag = match.group(0)
        parts.append(tag if tag in _KEPT else "**" if tag in _BOLD else "")
        last = match.end()
    return " ".join("".join([*parts, _marked(text[last:])]).split())


def csv_text(frame: pd.DataFrame) -> str:
    r"""Return a frame as CSV that no spreadsheet takes for formulas.

    Infinities are ``inf`` and ``-inf``, what is missing is empty.  A text that starts with one of
    ``= + - @``, a tab or a carriage return gets an apostrophe in front.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"model": ["@sum"], "value": [float("-inf")]}))
    "model,value\n'@sum,-inf\n"
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([str(column) for column in frame])
    columns = [[_field(value) for value in frame[column].astype(object)] for column in frame]
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def _tables(
    results: Results, comparison: Comparison | None, summary: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    found: dict[str, pd.DataFrame] = {}
    if comparison is not None:
        for number, frame in enumerate(comparison.frames, start=1):
            found[f"changes-{number}" if len(comparison.frames) > 1 else "changes"] = frame
    if len(accuracy := accuracy_numbers(results)):
        found["accuracy"] = accuracy
        found["trainings"] = training_curves(results)
    if summary is not None:
        found["summary"] = summary.reset_index()
    return found


def _figure(exhibit: Exhibit, place: Path) -> list[Path]:
    figure = exhibit.draw()
    paths = [place / "figures" / f"{exhibit.name}.{kind}" for kind in ("svg", "png")]
    for path in paths:
        _save(figure, path)
    return paths


def _save(figure: Figure, path: Path) -> None:
    """Save on white: a page that shows the file may be of any colour."""
    options: dict[str, Any] = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    with drawing(), warnings.catch_warnings():
        # What the font lacks is drawn as a box in PNG files; SVG files keep the text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path, dpi=RESOLUTION, facecolor="white", **options)


def _table(frame: pd.DataFrame, path: Path) -> Path:
    path.write_text(csv_text(frame), encoding="utf-8", newline="\n")
    return path


def _markdown(
    results: Results,
    comparison: Comparison | None,
    gradients: tuple[pd.DataFrame | None, pd.DataFrame | None],
    figures: Sequence[Exhibit],
    selection: str,
    command: str,
) -> str:
    parts = [f"# {escaped(results.study.question)}"]
    if comparison is not None:
        parts += _changes(comparison)
    parts += _answers(results, *gradients)
    parts += [escaped(selection) if selection else "", missing_in_words(results)]
    for exhibit in figures:
        parts.append(f"## {escaped(exhibit.title)}")
        alternative = escaped(exhibit.text)
        parts.append(f"![{alternative}](figures/{exhibit.name}.svg)")
        parts.append(f"Numbers: [{exhibit.name}.csv](tables/{exhibit.name}.csv)")
    parts += ["## Provenance", facts_in_words(results)]
    parts.append(f"Written by `{printable(command).replace('`', '')}`.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _changes(comparison: Comparison) -> list[str]:
    parts = []
    for section in comparison.sections:
        parts.append(f"## {escaped(section.after)} against {escaped(section.before)}")
        parts.append(markdown_of(section.answer.lead))
        sentences = [*section.answer.models, *section.answer.others]
        parts.append("\n".join(f"- {markdown_of(sentence)}" for sentence in sentences))
        if section.settings:
            heads = ("what was set differently", "of", "before", "after")
            rows = [(s.name, s.place or "all", s.before, s.after) for s in section.settings]
            parts.append(_rows(heads, rows))
        parts.append(markdown_of(section.answer.criterion))
    return parts


def _answers(
    results: Results, table: pd.DataFrame | None, summary: pd.DataFrame | None
) -> list[str]:
    parts = []
    trained = accuracy_markdown(results)
    if not trained.startswith("No training"):
        parts += ["## Trainings", trained.rstrip()]
    if every := portraits(results.table, [cell.label for cell in results.cells]):
        moved = dynamics_answer.answer(every)
        parts += ["## Trajectories", markdown_of(moved.lead)]
        told = [sentence for group in moved.models.values() for sentence in group]
        parts.append("\n".join(f"- {markdown_of(sentence)}" for sentence in told))
    if table is None or summary is None:
        return parts
    found = find(table, summary)
    sentences = [
        *found.models,
        *found.others,
        lyapunov_sentence(table),
        *attribution_sentences(table),
    ]
    parts += ["## Gradients", markdown_of(found.lead)]
    parts.append("\n".join(f"- {markdown_of(text)}" for text in sentences if text))
    parts += [markdown_of(found.criterion), _summary(summary)]
    return parts


_SUMMARY = {
    "verdict": "verdict",
    "length": "T",
    "gain": "log gain",
    "gain_low": "lowest",
    "gain_high": "highest",
    "largest": "log σ max",
    "smallest": "log σ min",
    "seeds": "seeds",
}


def _summary(summary: pd.DataFrame) -> str:
    shown = summary.head(MOST_ROWS)
    rows = [
        (str(name), *(_cell(row[column]) for column in _SUMMARY)) for name, row in shown.iterrows()
    ]
    note = f"\n\n{len(shown)} of {len(summary)} rows; all are in tables/summary.csv."
    return _rows(("model", *_SUMMARY.values()), rows) + (note if len(shown) < len(summary) else "")


def _rows(headings: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    heads = list(headings)
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join('---' for _ in heads)}|"]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _marked(text: str) -> str:
    return _MARKS.sub(r"\\\1", printable(html.unescape(text))) if text else ""


def _cell(value: Any) -> str:
    if value is None or pd.isna(value):
        return written(None)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}".replace("-", MINUS)
    return written(value)


def _field(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, float):
        return repr(value)
    text = printable(value)
    numeric = isinstance(value, int | np.integer)
    return f"'{text}" if text.startswith(_FORMULA) and not numeric else text
