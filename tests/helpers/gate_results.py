"""Results in a store, computed in this process, of sound models and of models with a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability_measurements import measured_table

from gradprobe.studies.grid import cells
from gradprobe.studies.outcome import Outcome
from gradprobe.studies.reading import parse_study
from gradprobe.studies.tables import encode_table
from gradprobe.studies.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pandas as pd
    from faults import Fault

STUDY = """\
name = "rows"
question = "Are gradients over the rows of a digit as approved?"
[[tasks]]
name = "digits_rows"
[grid]
seeds = SEEDS
lengths = [4, 8]
sequences = 2
[[models]]
label = "Vanilla RNN"
name = "vanilla"
hidden_size = 4
[[models]]
label = "LSTM, forget bias 1"
name = "lstm"
hidden_size = 3
[probes.singular_values]
[probes.gradient_norm]
"""
PROVENANCE = {"versions": {"gradprobe": "0"}, "machine": {"cores": 1}, "commit": None}


def store(
    folder: Path,
    seeds: Iterable[int],
    fault: Fault | None = None,
    *,
    text: str = STUDY,
    edited: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    skipped: Iterable[int] = (),
) -> Path:
    """Compute the study at `seeds` but for those `skipped`, and store it in `folder`.

    A fault comes into the model that it names; `edited` may change every table.
    """
    study = parse_study(text.replace("SEEDS", str(list(seeds))), "rows.toml")
    with Writer(folder, study) as writer:
        for cell in cells(study):
            if cell.seed in skipped:
                continue
            own = fault if fault is not None and fault.model == cell.label else None
            table = edited(measured_table(cell.specification, own))
            moment = "2026-01-01T00:00:00"
            outcome = Outcome(moment, moment, 0.0, encoded_table=encode_table(table))
            writer.record(cell, PROVENANCE, outcome)
    return folder
