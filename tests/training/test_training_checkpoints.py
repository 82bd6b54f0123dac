"""Trainings that are stopped, interrupted, killed or damaged, and go on."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_tasks import SmallTask, small_network

from gradprobe import models, probes
from gradprobe.errors import CheckpointError
from gradprobe.training import Progress, TrainingInterruptedError, TrainingProtocol, train
from gradprobe.training.checkpoint import FORMAT, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradprobe.training import TrainingResult

ITERATIONS = 24
OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "schedule": "cosine", "warm_up": 5},
    "adagrad": {"weight_decay": 0.01},
    "adam": {"gradient_clipping": 0.5, "learning_rate": 0.01},
    "rmsprop": {"momentum": 0.5, "learning_rate": 0.01, "schedule": "linear"},
}
Network = tuple[models.RecurrentModel, models.Readout]


def protocol(optimizer: str = "adagrad", **fields: Any) -> TrainingProtocol:
    usual: dict[str, Any] = {
        "optimizer": optimizer,
        "iterations": ITERATIONS,
        "batch_size": 4,
        "validate_every": 9,
        "record_every": 7,
        "probe_at": (0, 9, "end"),
    }
    return TrainingProtocol(**{**usual, **OPTIMISERS[optimizer], **fields})


def probe(model: models.RecurrentModel) -> pd.DataFrame:
    return probes.probe(model, torch.ones(4, 1, 2), probes=["singular_values"], dtype=None)


def undisturbed(settings: TrainingProtocol) -> tuple[TrainingResult, Network]:
    network = small_network(SmallTask())
    return train(*network, SmallTask(), settings, seed=5, probes=probe), network


def assert_same(
    found: TrainingResult, network: Network, expected: TrainingResult, reference: Network
) -> None:
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
    for module, other in zip(network, reference, strict=True):
        assert all(map(torch.equal, module.parameters(), other.parameters()))


def after(questions: int) -> Callable[[], bool]:
    """Return a question that is answered with yes from its `questions`-th asking on."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= questions


@pytest.mark.parametrize("optimizer", OPTIMISERS)
def test_a_training_stopped_at_any_moment_goes_on_to_the_same_bits(
    tmp_path: Path, optimizer: str
) -> None:
    settings = protocol(optimizer)
    expected = undisturbed(settings)
    chosen, file, stops = np.random.default_rng(len(optimizer)), tmp_path / "a.pt", 0
    while True:
        network = small_network(SmallTask())
        stop = after(int(chosen.integers(1, 7)))
        try:
            found = train(
                *network, SmallTask(), settings, seed=5, checkpoint=file, probes=probe, stop=stop
            )
        except TrainingInterruptedError:
            stops += 1
        else:
            break
    assert stops > 5
    assert_same(found, network, *expected)


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_goes_on_to_the_same_bits(tmp_path: Path, name: str) -> None:
    results = []
    for file, stop in ((None, None), (tmp_path / "a.pt", after(3))):
        settings = protocol(iterations=4, penalty_weight=0.5, probe_at=())
        network = small_network(SmallTask(), name=name)
        if stop is not None:
            with pytest.raises(TrainingInterruptedError):
                train(*network, SmallTask(), settings, seed=5, checkpoint=file, stop=stop)
            network = small_network(SmallTask(), name=name)
        found = train(*network, SmallTask(), settings, seed=5, checkpoint=file)
        results.append((found, network))
    first, _ = small_network(SmallTask(), name=name)
    assert not all(map(torch.equal, first.parameters(), network[0].parameters()))
    assert_same(*results[1], *results[0])


KILLED = """\
import os, random, signal, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
from small_tasks import SmallTask, small_network
from test_training_checkpoints import OPTIMISERS, probe, protocol
from gradprobe.training import train

for optimizer in OPTIMISERS:
    file = Path(optimizer + ".pt")
    child = os.fork()
    if child == 0:
        train(
            *small_network(SmallTask()), SmallTask(), protocol(optimizer, iterations=120), seed=5,
            checkpoint=file, checkpoint_seconds=1e-9, probes=probe,
            progress=lambda _: time.sleep(0.002),
        )
        os._exit(0)
    while not file.exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it had ended before"
"""


def test_a_killed_process_leaves_a_checkpoint_that_goes_on_to_the_same_bits(
    tmp_path: Path,
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")]
    command = [sys.executable, "-W", "ignore", "-c", KILLED.format(paths=paths)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    for optimizer in OPTIMISERS:
        file, settings = tmp_path / f"{optimizer}.pt", protocol(optimizer, iterations=120)
        stored = load(file)
        assert stored is not None
        assert stored.contents["iteration"] < 120
        network = small_network(SmallTask())
        found = train(*network, SmallTask(), settings, seed=5, checkpoint=file, probes=probe)
        assert_same(found, network, *undisturbed(settings))


def raise_signal_at(iteration: int, number: signal.Signals) -> Callable[[Progress], None]:
    def progress(progress: Progress) -> None:
        if progress.iteration == iteration:
            signal.raise_signal(number)

    return progress


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where whoever runs the tests has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_writes_the_checkpoint_first_and_the_very_models_can_go_on(tmp_path: Path) -> None:
    file, settings, network = tmp_path / "a.pt", protocol(), small_network(SmallTask())

    def run(progress: Callable[[Progress], None] | None = None) -> TrainingResult:
        return train(
            *network,
            SmallTask(),
            settings,
            seed=5,
            checkpoint=file,
            probes=probe,
            progress=progress,
        )

    for iteration in (3, 11, 20):
        with pytest.raises(KeyboardInterrupt):
            run(raise_signal_at(iteration, signal.SIGINT))
        stored = load(file)
        assert stored is not None
        assert stored.contents["iteration"] == iteration
    assert_same(run(), network, *undisturbed(settings))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup, or in the background of a shell."""
    settings, network = protocol(), small_network(SmallTask())
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = train(
            *network,
            SmallTask(),
            settings,
            seed=5,
            checkpoint=tmp_path / "a.pt",
            probes=probe,
            progress=raise_signal_at(3, signal.SIGINT),
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert_same(found, network, *undisturbed(settings))


def test_sigterm_reaches_who_listened_before_after_the_checkpoint_is_written(
    tmp_path: Path,
) -> None:
    file, heard = tmp_path / "a.pt", []

    def listener(number: int, frame: object) -> None:
        stored = load(file)
        assert stored is not None
        heard.append((number, stored.contents["iteration"]))

    before = signal.signal(signal.SIGTERM, listener)
    try:
        with pytest.raises(TrainingInterruptedError, match="after 6 of 24 iterations"):
            train(
                *small_network(SmallTask()),
                SmallTask(),
                protocol(),
                seed=5,
                checkpoint=file,
                progress=raise_signal_at(6, signal.SIGTERM),
            )
        assert signal.getsignal(signal.SIGTERM) is listener
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [(signal.SIGTERM, 6)]


def test_a_training_runs_in_a_thread_of_its_own(tmp_path: Path) -> None:
    results: list[TrainingResult] = []

    def work() -> None:
        network, file = small_network(SmallTask()), tmp_path / "a.pt"
        results.append(train(*network, SmallTask(), protocol(), seed=5, checkpoint=file))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results[0].value("test_accuracy") >= 0


def test_a_training_that_has_ended_gives_its_result_again_without_computing(
    tmp_path: Path,
) -> None:
    file, settings = tmp_path / "a.pt", protocol()
    first = train(
        *small_network(SmallTask()), SmallTask(), settings, seed=5, checkpoint=file, probes=probe
    )
    data = file.read_bytes()
    task, network = SmallTask(), small_network(SmallTask())
    again = train(*network, task, settings, seed=5, checkpoint=file)
    assert task.asked == []
    assert again.seconds == first.seconds > 0
    assert file.read_bytes() == data
    assert_same(again, network, *undisturbed(settings))


def test_seconds_add_up_over_the_parts_and_not_over_the_pause(tmp_path: Path) -> None:
    def run(stop: Callable[[], bool]) -> TrainingResult:
        network = small_network(SmallTask())
        file = tmp_path / "a.pt"
        return train(*network, SmallTask(), protocol(), seed=5, checkpoint=file, stop=stop)

    with pytest.raises(TrainingInterruptedError):
        run(after(10))
    stored = load(tmp_path / "a.pt")
    assert stored is not None
    assert run(lambda: False).seconds > stored.contents["seconds"] > 0


def test_divergence_is_remembered(tmp_path: Path) -> None:
    def run() -> tuple[TrainingResult, SmallTask]:
        task = SmallTask()
        model, readout = small_network(task)
        readout.bias.register_hook(lambda grad: grad / 0)
        return train(model, readout, task, protocol(), seed=5, checkpoint=tmp_path / "a.pt"), task

    first, _ = run()
    again, task = run()
    assert first.diverged_at == again.diverged_at == 1
    assert task.asked == []


# ---- checkpoints that do not fit


def test_the_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path: Path) -> None:
    file, task = tmp_path / "a.pt", SmallTask()
    train(*small_network(task), task, protocol(), seed=5, checkpoint=file)
    data = file.read_bytes()

    def refused(message: str, network: Network, settings: TrainingProtocol, seed: int = 5) -> None:
        with pytest.raises(CheckpointError, match=message) as caught:
            train(*network, task, settings, seed=seed, checkpoint=file)
        assert str(caught.value).endswith(f"or remove it to begin the training anew: {file}")
        assert file.read_bytes() == data

    refused("seed is 5 there and 6 here", small_network(task), protocol(), seed=6)
    refused(
        r"protocol\.learning_rate is 0\.1 there and 0\.2 here",
        small_network(task),
        protocol(learning_rate=0.2),
    )
    refused(r"model is \['vanilla'.*\['gru'", small_network(task, name="gru"), protocol())
    other = small_network(task)
    with torch.no_grad():
        other[1].weight[0, 0] += 1e-3
    refused("initial values is", other, protocol())


def test_any_damage_is_noticed_and_nothing_is_begun_anew_in_silence(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    save(file, {"seed": 0}, {"weights": torch.arange(100.0), "iteration": 7})
    whole = file.read_bytes()
    chosen = np.random.default_rng(0)
    damaged = [b"", whole[:100], whole[:-1], whole + b"\n"]
    for _ in range(300):
        place = int(chosen.integers(len(whole)))
        flipped = bytes([whole[place] ^ (1 << int(chosen.integers(8)))])
        damaged.append(whole[:place] + flipped + whole[place + 1 :])
    for data in damaged:
        file.write_bytes(data)
        with pytest.raises(CheckpointError, match="remove it to begin the training anew"):
            load(file)


class MakesFolder:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path("made_by_a_pickle"),)


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.pt"
    save(file, {}, {"iteration": MakesFolder()})
    assert file.read_bytes().startswith(FORMAT)
    with pytest.raises(CheckpointError, match="cannot read the checkpoint") as caught:
        load(file)
    assert isinstance(caught.value.__cause__, pickle.UnpicklingError)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


def test_a_save_that_fails_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.pt"
    save(file, {}, {"iteration": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(file, {}, {"iteration": 2})
    stored = load(file)
    assert stored is not None
    assert stored.contents == {"iteration": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]
