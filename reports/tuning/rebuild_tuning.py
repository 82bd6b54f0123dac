"""Whether `gradprobe tune` told: ``python reports/tuning/rebuild_tuning.py [RESULTS]``.

Reads the folders of the studies below in RESULTS, if it is given, and writes ``scores.csv`` (the
rankings before any training) and ``trainings.csv`` (a row for each training of the studies that are
complete) beside this file.  From these two it writes ``correlations.csv``, ``paired.csv``,
``outcome.svg``, ``outcome.png`` and ``README.md``.  Nothing is computed again; without RESULTS, the
two files are taken as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from tuning_figure import save
from tuning_page import page

from gradprobe.errors import StoreError
from gradprobe.reports.trainings import trainings
from gradprobe.reports.tuning_outcome import FIRST_BOUND, correlations, paired
from gradprobe.studies import read_results
from gradprobe.tuning import BOUND, rank
from gradprobe.tuning.ranking import positions

HERE = Path(__file__).parent
DEFAULTS = {
    "tuning_digits": "ε = 0.01, σ_w = 1, γ = 0.01",
    "tuning_adding": "ε = 0.01, σ_w = 1, γ = 0.01",
    "tuning_lstm": "forget bias 1, σ_w = 1",
}
"""The studies, and what the models do if nothing is said of their initialisation."""

RUN_COLUMNS = ["study", "task", "model", "seed", "metric", "test", "iterations", "diverged_at"]
KEYS = ["study", "task"]


def main() -> None:
    """Read what there is, and write the folder."""
    if len(sys.argv) > 1:
        _export(Path(sys.argv[1]))
    scores, runs = (pd.read_csv(HERE / name) for name in ("scores.csv", "trainings.csv"))
    related, against = compared(scores, runs)
    related.to_csv(HERE / "correlations.csv", index=False)
    against.to_csv(HERE / "paired.csv", index=False)
    save(scores, runs, DEFAULTS, HERE)
    (HERE / "README.md").write_text(page(scores, runs, related, against), encoding="utf-8")


def _export(source: Path) -> None:
    """Write the two tables that everything else is made from."""
    scores, runs = [], []
    for study in DEFAULTS:
        scores.append(rank(read_results(source / study).table).assign(study=study))
        runs.append(_trained(source / f"{study}_trained").assign(study=study))
    whole = pd.concat(scores, ignore_index=True)
    first = whole.pop("study")
    whole.insert(0, "study", first)
    whole.to_csv(HERE / "scores.csv", index=False)
    trained = pd.concat([run for run in runs if len(run)], ignore_index=True)
    trained[RUN_COLUMNS].to_csv(HERE / "trainings.csv", index=False)


def _trained(folder: Path) -> pd.DataFrame:
    """Return the trainings of a study, or none of them while some are missing."""
    try:
        results = read_results(folder)
    except StoreError as error:
        print(f"left out: {error}", file=sys.stderr)
        return pd.DataFrame(columns=RUN_COLUMNS)
    if results.missing:
        print(f"left out: {folder}: {len(results.missing)} trainings to come", file=sys.stderr)
        return pd.DataFrame(columns=RUN_COLUMNS)
    return trainings(results.table, results.cells)


def compared(scores: pd.DataFrame, runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the correlations, and the suggested candidates against the defaults."""
    related, against = [], []
    for (study, task), ranked in scores.groupby(KEYS, sort=False):
        mine = runs[(runs["study"] == study) & (runs["task"] == task)]
        if mine.empty:
            continue
        related.append(correlations(ranked, mine).assign(study=str(study), task=str(task)))
        for bound in (FIRST_BOUND, BOUND):
            found = paired(mine, suggested(ranked, bound), DEFAULTS[str(study)])
            wins = sum(difference > 0 for difference in found.differences)
            counts = {"wins": wins, "seeds": len(found.differences)}
            row = {"study": study, "task": task, "bound": bound, **found._asdict(), **counts}
            against.append(row)
    return pd.concat(related, ignore_index=True), pd.DataFrame(against)


def suggested(ranked: pd.DataFrame, bound: float) -> str:
    """Return the candidate that comes first with another bound."""
    within = (ranked["log_sigma_max"].abs() <= bound).to_numpy(dtype=bool)
    order = positions(ranked["score"].to_numpy(dtype=float), within)
    return str(ranked["model"].iloc[int(order.argmin())])


if __name__ == "__main__":
    main()
