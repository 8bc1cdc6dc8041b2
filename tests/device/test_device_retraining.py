"""A training from scratch on a pretend accelerator: drop-path, evaluation, resuming."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.darts.recipe import Recipe
from benchmarks.darts.retraining import Retraining
from tests import pretend_device
from tests.pretend_device import NAME, Pretend, record_each_other_call
from tests.unit.test_darts_retraining import CELL, TINY, resident_data, weights

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(pretend_device.missing(), reason="this PyTorch has no devices written in Python"),
]


def training(device: str, recipe: Recipe = TINY) -> Retraining:
    return Retraining(CELL, recipe, resident_data(device=device), 5, device)


def close(first: Retraining, second: Retraining) -> bool:
    """Return whether two trainings on any devices have nearly the same weights and statistics."""
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return all(torch.allclose(a.cpu().float(), b.cpu().float(), rtol=1e-4, atol=1e-5) for a, b in pairs)


def test_a_training_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps do nothing that a GPU refuses to record."""
    expected = training("cpu")
    expected.run()
    with Pretend() as device:
        record_each_other_call(monkeypatch)
        current = training(NAME)
        current.run()
        assert close(current, expected)
    assert device.recordings
    for name in ("train_loss", "accuracy", "loss"):
        assert [line[name] for line in current.curve.lines] == pytest.approx(
            [line[name] for line in expected.curve.lines], 1e-4
        )


def test_a_training_resumes_on_the_device_and_moves_to_it() -> None:
    from_cpu = training("cpu")
    from_cpu.run(until=1)
    moved = from_cpu.state()
    with Pretend():
        uninterrupted, first, second, third = (training(NAME) for _ in range(4))
        uninterrupted.run()
        states: list[bytes] = []
        first.run(states.append, until=2)
        second.load(states[-1])
        third.load(moved)
        for resumed in (second, third):
            assert all(group["fused"] for group in resumed.optimizer.param_groups)
            resumed.run()
            assert close(resumed, uninterrupted)


@pytest.mark.parametrize("resumed", [False, True])
def test_an_epoch_waits_as_often_with_few_batches_as_with_many(resumed: bool) -> None:
    """The totals are read once, after the last batch."""

    def counts(batch: int) -> tuple[int, int]:
        current = training(NAME, dataclasses.replace(TINY, batch=batch))
        if resumed:
            other = training(NAME, dataclasses.replace(TINY, batch=batch))
            other.run(until=1)
            current.load(other.state())
        else:
            current.train_epoch()
        before = device.counts()
        current.train_epoch()
        after = device.counts()
        return after[0] - before[0], after[1] - before[1]

    with Pretend() as device:
        assert counts(4) == counts(16) <= (3, 1), (device.waits, device.uploads)
