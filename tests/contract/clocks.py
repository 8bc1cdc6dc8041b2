"""What every benchmark must do that has recorded trainings and a supernet: both have one price."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.images import task as images
from benchmarks.images.augment import Resident
from harness.budget import Budget
from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from harness.weight_sharing import Active

CELLS = 24
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}
SIDE = {"cifar10": 32, "cifar100": 32, "imagenet16-120": 16}
COUNTS = {
    ("cifar10", "nb201"): (25_000, 25_000),
    ("cifar100", "nb201"): (50_000, 5_000),
    ("imagenet16-120", "nb201"): (151_700, 3_000),
    ("cifar10", "halves"): (25_000, 25_000),
}
"""Images for the weights and images for the architecture, as the papers state them, by data set and split."""

Kind = Literal["training", "evaluation"]


class ClockContract:
    """What a supernet is charged for one cell alone is what the table's record of that cell says.

    Inherit, and provide the fixture ``problem``, :attr:`benchmarks` and the methods below.
    """

    benchmarks: ClassVar[Sequence[str]]
    """The ids of the benchmarks that are compared here."""
    passes: ClassVar[int]
    """Evaluation passes over all validation images that a query to the last epoch pays for."""

    def pass_seconds(self, problem: Any, arch: Arch) -> float:
        """Return the recorded price of one evaluation pass over all validation images."""
        raise NotImplementedError

    def epoch_images(self, problem: Any) -> int:
        """Return how many images train in an epoch of a recorded training."""
        raise NotImplementedError

    def agree(self, problem: Any, kind: Kind, charged: np.ndarray, recorded: np.ndarray) -> None:
        """Compare seconds per image of some cells. By default they are equal: the table was priced by the clock."""
        np.testing.assert_allclose(charged, recorded, rtol=1e-5)

    def archs(self, problem: Problem) -> list[Arch]:
        rng = random.Random(7)
        return [problem.space.sample(rng) for _ in range(CELLS)]

    def test_evaluating_a_cell_on_all_validation_images_costs_what_its_record_says(self, bench: Bench) -> None:
        archs = self.archs(bench.problem)
        charged = bench.charge(list(map(bench.net.only, archs)), "evaluation")
        recorded = np.array([self.pass_seconds(bench.problem, arch) for arch in archs])
        plain = bench.task.images["plain"]
        self.agree(bench.problem, "evaluation", charged / plain, recorded / plain)

    def test_an_epoch_of_one_cell_costs_what_an_epoch_of_a_query_costs(self, bench: Bench) -> None:
        archs, oracle = self.archs(bench.problem), bench.problem.oracle(1)
        charged = bench.charge(list(map(bench.net.only, archs)), "training")
        queries = [oracle.measure(arch, None, 0) for arch in archs]  # type: ignore[union-attr]
        passes = [self.passes * self.pass_seconds(bench.problem, arch) for arch in archs]
        recorded = np.array([(query[1] - less) / query[2] for query, less in zip(queries, passes, strict=True)])
        self.agree(bench.problem, "training", charged / bench.task.images["train"], recorded / self.epoch_images(bench.problem))

    def test_the_price_of_a_pass_is_that_of_its_images(self, bench: Bench) -> None:
        executed = [*map(bench.net.only, self.archs(bench.problem)[:3]), None]
        kinds: tuple[Kind, ...] = ("training", "evaluation")
        for kind in kinds:
            small, large = (bench.charge(executed, kind, images) for images in ([3], [4, 5, 6]))
            np.testing.assert_allclose(5 * small, large)


class Bench:
    """A benchmark's supernet whose passes are charged and not computed."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self.budget = Budget()
        view = SearchView(problem.space, self.budget, None, 0, "self", task=partial(problem.training, 3, "cpu"))
        self.task = view.task
        self.net = self.task.supernet()
        self.net.module = Idle(self.task.classes)
        self.shape = tuple(self.task.plain("valid", 1, 0)[0].shape[1:])

    def charge(self, executed: Sequence[Active | None], kind: Kind, batches: Sequence[int] = ()) -> np.ndarray:
        """Return what each of these (None: everything) is charged for an epoch, or for all validation images."""
        batches = batches or self.batches(kind)
        seconds = []
        for active in executed:
            before = self.budget.seconds
            for count in batches:
                with torch.set_grad_enabled(kind == "training"):
                    self.net(torch.zeros(1).expand(count, *self.shape), None, active)
            seconds.append(self.budget.seconds - before)
        return np.array(seconds)

    def batches(self, kind: Kind) -> list[int]:
        """Return the sizes of the batches of an epoch, or of all validation images."""
        whole = self.task.images["train" if kind == "training" else "plain"]
        return [min(512, whole - first) for first in range(0, whole, 512)]


class Idle(nn.Module):
    """A network that computes nothing."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: torch.Tensor, *_: object) -> torch.Tensor:
        return torch.zeros(len(x), self.classes)


@pytest.fixture
def bench(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The problem's supernet, on blank images where the real ones do not ship with the project."""
    real = images.residents
    monkeypatch.setattr(images, "residents", lambda *args: real(*args) if args[0] == "digits" else _blank(*args))
    return Bench(problem)


def _blank(dataset: str, split: str, device: str) -> dict[str, Resident]:
    """As many images as the data set has in this split, all in the memory of one."""
    train, valid = COUNTS[dataset, split]
    one, side = torch.zeros(1, dtype=torch.uint8), SIDE[dataset]

    def part(count: int) -> Resident:
        labels = torch.arange(count) % CLASSES[dataset]
        return Resident(one.expand(count, side, side, 3), labels, torch.ones(3), torch.zeros(3))

    return {"train": part(train), "valid": part(valid), "full": part(train + valid)}
