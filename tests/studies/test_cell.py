"""What a worker computes for one cell: what the public functions give, from named streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch

from gradprobe import frame, models, probes, tasks
from gradprobe.errors import StudyFileError
from gradprobe.studies.cell import compute as compute_in
from gradprobe.studies.cell import rehearse
from gradprobe.studies.grid import cells
from gradprobe.studies.reading import parse_study
from gradprobe.studies.running import run_study
from gradprobe.studies.store import load
from gradprobe.studies.workplace import Workplace

if TYPE_CHECKING:
    from gradprobe.studies.schema import Study


def specifications(study: Study, *changes: tuple[str, str]) -> list[dict[str, Any]]:
    text = study.text
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return [cell.specification for cell in cells(parse_study(text, "changed.toml"))]


def compute(specification: dict[str, Any]) -> pd.DataFrame:
    computed = compute_in(specification, Workplace(Path("never written")))
    assert computed is not None
    return computed.table


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_cell_is_what_the_public_functions_give(study: Study) -> None:
    specification = specifications(study)[1]
    streams = specification["streams"]
    task = tasks.build("noise_padded_digits", length=64)
    inputs, _ = task.draw(2, generator(streams["inputs"]), "train")
    model = models.build(
        "lstm",
        input_size=8,
        hidden_size=4,
        forget_bias=5.0,
        dtype=torch.float64,
        generator=generator(streams["model"]),
    )
    expected = probes.probe(
        model,
        inputs,
        probes=["gradient_norm"],
        lengths=[32, 64],
        generator=generator(streams["probes"]),
    )
    pd.testing.assert_frame_equal(compute(specification), expected, check_exact=True)


def test_every_model_meets_the_same_inputs_at_a_seed(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def look(model: Any, inputs: torch.Tensor, **options: Any) -> pd.DataFrame:
        seen.append(inputs)
        return frame.rows(value=0.0)

    monkeypatch.setattr(probes, "probe", look, raising=False)
    for specification in specifications(study):
        compute(specification)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert not torch.equal(seen[0], seen[2])


def test_single_precision_reaches_the_probes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(model: Any, inputs: torch.Tensor, **options: Any) -> pd.DataFrame:
        assert model.dtype == inputs.dtype == options["dtype"] == torch.float32
        return frame.rows(value=1.0)

    monkeypatch.setattr(probes, "probe", look, raising=False)
    change = ("sequences = 2", 'sequences = 2\ndtype = "float32"')
    assert compute(specifications(study, change)[0])["value"].tolist() == [1.0]


def test_a_rehearsal_finds_what_only_the_model_knows(study: Study) -> None:
    unknown = specifications(study, ("forget_bias = 5.0", "forgetbias = 5.0"))[1]
    assert "has no option 'forgetbias'" in rehearse(unknown, with_probes=False).mistakes["model"]
    text = specifications(study, ("forget_bias = 5.0", 'forget_bias = "five"'))[1]
    mistake = rehearse(text, with_probes=False).mistakes["model"]
    assert mistake == "forget_bias must be a finite number, got 'five'"


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ("[probes.gradient_norm]\nnorm = 2", "probe 'gradient_norm' has no option 'norm'"),
        ('[probes.singular_values]\nblock = "cell"', "block must be one of 'state', 'hidden'"),
        ("[probes.eigenvalue_real_parts]\nsteps = [65]", "steps must lie between 1 and the 64"),
    ],
)
def test_a_rehearsal_finds_what_only_the_probe_knows(
    study: Study, probe: str, expected: str
) -> None:
    specification = specifications(study, ("[probes.gradient_norm]", probe))[0]
    name = probe[len("[probes.") : probe.index("]")]
    assert rehearse(specification, with_probes=False).mistakes == {}
    (key, mistake), *others = rehearse(specification, with_probes=True).mistakes.items()
    assert others == []
    assert key == f"probes.{name}"
    assert mistake.startswith(expected)


def test_a_probe_that_only_wide_models_suit_is_no_mistake(study: Study) -> None:
    probe = "[probes.state_trajectory]\nstates = [[0.1, 0.2, 0.3, 0.4]]"
    specification = specifications(study, ("[probes.gradient_norm]", probe))[0]
    assert rehearse(specification, with_probes=True).mistakes == {}


def test_a_longer_training_costs_more(study: Study) -> None:
    def cost(training: str) -> float:
        change = ("[grid]", f"[training]\n{training}\n[grid]")
        return rehearse(specifications(study, change)[0], with_probes=False).cost

    untrained = rehearse(specifications(study)[0], with_probes=False).cost
    short, long, often = map(
        cost, ("iterations = 10", "iterations = 20", "iterations = 10\nvalidate_every = 1")
    )
    assert untrained < short < min(long, often)


def test_a_larger_state_costs_more(study: Study) -> None:
    vanilla, lstm = (rehearse(s, with_probes=False).cost for s in specifications(study)[:2])
    assert lstm > vanilla > 0


def test_the_table_does_not_depend_on_the_number_of_workers(tmp_path: Path, study: Study) -> None:
    for workers in (1, 2):
        run_study(study, tmp_path / str(workers), workers=workers)
    one, two = load(tmp_path / "1"), load(tmp_path / "2")
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert len(one) > 400
    assert one.groupby(["model", "seed"]).ngroups == 4


def test_an_impossible_model_is_refused_before_anything_is_written(
    tmp_path: Path, study: Study
) -> None:
    text = study.text.replace("forget_bias = 5.0", "step_size = 5.0")
    broken = parse_study(text, "broken.toml")
    with pytest.raises(StudyFileError, match=r"models\[1\] .*has no option 'step_size'"):
        run_study(broken, tmp_path / "results")
    assert list(tmp_path.iterdir()) == []
