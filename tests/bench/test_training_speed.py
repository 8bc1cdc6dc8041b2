"""The compiled kernels next to the plain network in torch: steps of training, on one core."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from benchmarks.digits_tables import native
from benchmarks.digits_tables.build import prepare
from benchmarks.digits_tables.nb201 import NB201Recipe, representatives
from benchmarks.digits_tables.schedule import SgdSchedule
from benchmarks.networks import channels_last

pytestmark = pytest.mark.bench

RECIPE = NB201Recipe()
SGD = SgdSchedule.of(RECIPE.settings, "short")
CELLS = random.Random(0).sample(representatives(), 8)
SEEDS = (0, 1, 2)
STEPS = 8
GROUP = f"{len(CELLS)} cells x {len(SEEDS)} seeds x {STEPS} steps on digits, batch {RECIPE.settings.batch}, one core"


@pytest.mark.benchmark(group=GROUP)
def test_plain_torch(benchmark: Any) -> None:
    trainer = prepare(RECIPE)

    def train() -> None:
        for cell in CELLS:
            for seed in SEEDS:
                network = trainer.plain_network(cell, seed)
                channels_last(network)
                optimiser = torch.optim.SGD(network.parameters(), SGD.rate, 0.9, weight_decay=SGD.decay, nesterov=True)
                images, labels = trainer.batches(seed, 0)
                for x, y in list(zip(images, labels, strict=True))[:STEPS]:
                    optimiser.zero_grad()
                    torch.nn.functional.cross_entropy(network(x), y).backward()
                    optimiser.step()

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)


@pytest.mark.skipif(not native.fits(RECIPE.settings.batch, torch.float32), reason="no C compiler")
@pytest.mark.benchmark(group=GROUP)
def test_compiled_kernels(benchmark: Any) -> None:
    trainer = prepare(RECIPE)

    def train() -> None:
        for cell in CELLS:
            for seed in SEEDS:
                images = trainer.blocked_batches(seed, 0)
                first = native.Images(images.pixels[:STEPS], images.labels[:STEPS])
                trainer.network(cell, seed).train(first, [SGD.rate] * STEPS, SGD.momentum, SGD.decay)

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)
