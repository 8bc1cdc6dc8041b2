"""Trainings from scratch on the GPU: they resume, do not wait inside an epoch, and compile once for each size of batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from benchmarks.darts.retraining import Retraining
from harness import device as harness_device
from tests.gpu.conftest import data
from tests.gpu.test_gpu_numbers import CELL, RECIPE

pytestmark = pytest.mark.gpu


def training(device: str, mode: str = "", **changes: int) -> Retraining:
    return Retraining(CELL, dataclasses.replace(RECIPE, **changes), data(device), 5, device, mode)  # type: ignore[arg-type]


def weights(current: Retraining) -> torch.Tensor:
    return torch.cat([value.detach().float().cpu().flatten() for value in current.network.parameters()])


def test_a_stopped_training_goes_on(device: str) -> None:
    """To rounding: the order of sums on a GPU may differ from run to run."""
    uninterrupted, first, second, other = (training(device) for _ in range(4))
    uninterrupted.run()
    states: list[bytes] = []
    first.run(states.append, until=1)
    second.load(states[-1])
    assert second.epoch == 1 and not second.done
    second.run()
    other.run(until=1)
    difference = (weights(second) - weights(uninterrupted)).norm()
    assert difference < 0.05 * (weights(other) - weights(uninterrupted)).norm()


@pytest.mark.usefixtures("float32")
def test_a_replayed_training_is_the_one_that_runs(cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With drop-path from the second epoch on, and a smaller last batch, which always runs. To rounding."""
    replayed = training(cuda, epochs=4)
    before = weights(replayed)
    replayed.run()
    monkeypatch.setattr(harness_device, "RECORDED", set())
    running = training(cuda, epochs=4)
    running.run()
    assert (weights(replayed) - weights(running)).norm() < 0.02 * (weights(running) - before).norm()


def test_the_steps_of_an_epoch_do_not_wait(cuda: str) -> None:
    current = training(cuda, epochs=3)
    current.run(until=2)

    def after_each(share: float) -> None:
        last = round(share * 3 * 40) % 40 == 0
        torch.cuda.set_sync_debug_mode("default" if last else "error")

    watch: Callable[[float], None] = after_each
    try:
        current.train_epoch(watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_there_is_a_static_graph_for_each_size_of_batch(cuda: str) -> None:
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    training(cuda, "default").run()
    assert counters["stats"]["unique_graphs"] == 2
