"""The contract of a benchmark with recorded trainings and a supernet as tests: both have one price."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from harness.budget import Ledger
from harness.problem import Problem
from harness.space import Arch
from harness.testing.suites.training import begin
from harness.weight_sharing import Active

CELLS = 24

Kind = Literal["training", "evaluation"]


class ClockContract:
    """Both prices of a cell are equal: that of a supernet's pass of this cell alone, and that of its record in the table.

    Inherit, define the fixture :meth:`problem`, set :attr:`benchmarks` and :attr:`passes`, and override
    :meth:`pass_seconds` and :meth:`epoch_images`.
    """

    benchmarks: ClassVar[Sequence[str]]
    """The ids of the benchmarks that are compared here."""
    passes: ClassVar[int]
    """Evaluation passes over all validation images that a query to the last epoch pays for."""

    @pytest.fixture
    def problem(self) -> Problem:
        """Return the benchmark, opened under a protocol."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `problem` that opens the benchmark")

    @pytest.fixture
    def bench(self, problem: Problem) -> Bench:
        """Return the supernet of the problem; its passes are charged and not computed."""
        return Bench(problem)

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
        """Return the architectures that are compared."""
        rng = random.Random(7)
        return [problem.space.sample(rng) for _ in range(CELLS)]

    def test_evaluating_a_cell_on_all_validation_images_costs_what_its_record_says(self, bench: Bench) -> None:
        archs = self.archs(bench.problem)
        charged = bench.charge(list(map(bench.net.active_for, archs)), "evaluation")
        recorded = np.array([self.pass_seconds(bench.problem, arch) for arch in archs])
        plain = bench.task.images["plain"]
        self.agree(bench.problem, "evaluation", charged / plain, recorded / plain)

    def test_an_epoch_of_one_cell_costs_what_an_epoch_of_a_query_costs(self, bench: Bench) -> None:
        archs, oracle = self.archs(bench.problem), bench.problem.oracle(1)
        charged = bench.charge(list(map(bench.net.active_for, archs)), "training")
        queries = [oracle.measure(arch, None, 0) for arch in archs]
        passes = [self.passes * self.pass_seconds(bench.problem, arch) for arch in archs]
        recorded = np.array([(query[1] - less) / query[2] for query, less in zip(queries, passes, strict=True)])
        self.agree(bench.problem, "training", charged / bench.task.images["train"], recorded / self.epoch_images(bench.problem))

    def test_the_price_of_a_pass_is_that_of_its_images(self, bench: Bench) -> None:
        executed = [*map(bench.net.active_for, self.archs(bench.problem)[:3]), None]
        kinds: tuple[Kind, ...] = ("training", "evaluation")
        for kind in kinds:
            small, large = (bench.charge(executed, kind, images) for images in ([3], [4, 5, 6]))
            np.testing.assert_allclose(5 * small, large)


class Bench:
    """A benchmark's supernet whose passes are charged and not computed."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self.ledger = Ledger()
        self.task: Any = begin(problem, 3, self.ledger).task
        self.net = self.task.supernet()
        self.net.module.forward = lambda images, *_: torch.zeros(len(images), self.task.classes)
        self.shape = tuple(self.task.plain("valid", 1, 0)[0].shape[1:])

    def charge(self, executed: Sequence[Active | None], kind: Kind, batches: Sequence[int] = ()) -> np.ndarray:
        """Return the seconds that each pass is charged.

        Args:
            executed: for each pass its active options; None: all options.
            kind: with gradients or without.
            batches: images of each batch; by default those of an epoch, or of all validation images.
        """
        batches = batches or self.batches(kind)
        seconds = []
        for active in executed:
            before = self.ledger.seconds
            for count in batches:
                with torch.set_grad_enabled(kind == "training"):
                    self.net(torch.zeros(1).expand(count, *self.shape), None, active)
            seconds.append(self.ledger.seconds - before)
        return np.array(seconds)

    def batches(self, kind: Kind) -> list[int]:
        """Return the sizes of the batches of an epoch, or of all validation images."""
        total = self.task.images["train" if kind == "training" else "plain"]
        return [min(512, total - first) for first in range(0, total, 512)]
