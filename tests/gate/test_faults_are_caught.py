"""Faults put into real models: each is caught, in the model where it is, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults import FAULTS, LSTM, VANILLA, Fault, scaled
from gate_results import STUDY, store

from gradprobe import gate
from gradprobe.gate import FailOn, Verdict

if TYPE_CHECKING:
    from pathlib import Path

CHOSEN = [
    fault
    for fault in FAULTS
    if fault.name
    in {
        "recurrent matrix transposed",
        "weights in float16",
        "initial state of ones",
        "forget bias 0",
        "input and forget gate swapped",
        "sequences reversed in time",
    }
    and fault.model in {VANILLA, LSTM}
]
SCALED = Fault(
    VANILLA, "recurrent matrix 1 % too small", scaled("recurrent_weight", lambda _: 0.99)
)
TENTH = Fault(VANILLA, "recurrent matrix a tenth", scaled("recurrent_weight", lambda _: 0.1))
ONE_MODEL = STUDY[: STUDY.rindex("[[models]]")] + "[probes.gradient_norm]\n"


@pytest.mark.parametrize(
    "fault", [*CHOSEN, SCALED], ids=lambda fault: f"{fault.model}: {fault.name}"
)
def test_a_fault_is_caught_at_the_same_seeds_where_it_is(
    tmp_path: Path, baseline_file: Path, fault: Fault
) -> None:
    measured = gate.read_measured(store(tmp_path / "results", [0, 1, 2], fault))
    comparison = gate.compare(gate.read_baseline(baseline_file), measured)
    assert comparison.exit_code(FailOn.CHANGED) == 1
    found = {
        finding.name.model
        for finding in comparison.findings
        if finding.verdict is not Verdict.UNCHANGED
    }
    assert found == {fault.model}


def test_a_fault_is_caught_at_other_seeds_and_sound_models_are_not(tmp_path: Path) -> None:
    def of(name: str, seeds: range, fault: Fault | None = None) -> gate.Measured:
        return gate.read_measured(store(tmp_path / name, seeds, fault, text=ONE_MODEL))

    baseline = gate.Baseline.of(of("approved", range(10)))
    sound = gate.compare(baseline, of("sound", range(20, 30)))
    assert sound.exit_code(FailOn.CHANGED) == 0
    assert not sound.of(Verdict.IMPROVED)
    faulty = gate.compare(baseline, of("faulty", range(20, 30), TENTH))
    assert faulty.exit_code(FailOn.REGRESSION) == 1
    assert "Other seeds" in faulty.method


def test_results_at_more_seeds_than_approved_are_compared_at_those_approved(
    tmp_path: Path, baseline_file: Path
) -> None:
    baseline = gate.read_baseline(baseline_file)
    more = gate.compare(baseline, gate.read_measured(store(tmp_path / "more", range(4))))
    assert more.exit_code(FailOn.CHANGED) == 0
    assert "Seed by seed" in more.method
