"""A step of the DARTS supernet, compared with the same sums operation by operation, forward and backward, on one core."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts.macro import Macro
from benchmarks.darts.space import DartsSpace
from benchmarks.darts.supernet import SEARCH, Supernet
from benchmarks.darts.task import MACROS
from tests.plain_darts import Plain, ones, tables

pytestmark = pytest.mark.bench

SIZES = {"cifar10": (SEARCH, 4), "digits": (MACROS["digits"], 64)}


Forward = Callable[[Tensor, list[Tensor]], Tensor]
"""Return the logits of images, under the weights of the operations."""


def step(net: Supernet, macro: Macro, forward: Forward, weights: list[Tensor], batch: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, macro.channels, macro.size, macro.size, generator=generator)
    labels = torch.arange(batch) % macro.classes
    weights = [table.float().requires_grad_() for table in weights]

    def run() -> None:
        net.module.zero_grad()
        F.cross_entropy(forward(images.contiguous(memory_format=torch.channels_last), weights), labels).backward()

    return run


def measured(benchmark: Any, run: Callable[[], None]) -> None:
    torch.set_num_threads(1)
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("dataset", SIZES)
@pytest.mark.parametrize("how", ["operation by operation", "shared work"])
def test_the_whole_mixture(benchmark: Any, dataset: str, how: str) -> None:
    macro, batch = SIZES[dataset]
    benchmark.group = f"DARTS supernet, {dataset}, all operations, batch {batch}"
    net = Supernet(macro, seed=1)
    forward: Forward = net if how == "shared work" else Plain(net)
    measured(benchmark, step(net, macro, forward, tables(net), batch))


@pytest.mark.parametrize("dataset", SIZES)
@pytest.mark.parametrize("how", ["operation by operation", "shared work"])
def test_two_operations_for_each_node(benchmark: Any, dataset: str, how: str) -> None:
    macro, batch = SIZES[dataset]
    benchmark.group = f"DARTS supernet, {dataset}, two operations for each node, batch {batch}"
    net = Supernet(macro, seed=1)
    arch = DartsSpace("single").sample(random.Random(1))
    active = net.active_for(arch)
    forward: Forward = (lambda x, w: net(x, w, active)) if how == "shared work" else Plain(net, skipping=True)
    measured(benchmark, step(net, macro, forward, ones(net, arch), batch))
