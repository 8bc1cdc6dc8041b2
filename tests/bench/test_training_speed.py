"""The batched trainer beside one-by-one training, per step of one network, on one core."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from benchmarks.nb201.digits_task import SETTINGS, Task
from benchmarks.nb201.network import Network
from benchmarks.nb201.space import official_order
from benchmarks.nb201.unique import representatives
from benchmarks.training import native
from benchmarks.training.batched import cross_entropy_gradient
from benchmarks.training.build import prepare

pytestmark = pytest.mark.bench

CELLS = random.Random(0).sample(representatives(), 8)
SEEDS = (0, 1, 2)
STEPS = 8
GROUP = f"{len(CELLS)} cells x {len(SEEDS)} seeds x {STEPS} steps on digits, batch {SETTINGS.batch}, one core"


@pytest.mark.benchmark(group=GROUP)
def test_one_by_one(benchmark: Any) -> None:
    task, sgd = prepare(Task, SETTINGS, "cpu"), SETTINGS.sgd("short")

    def train() -> None:
        for cell in CELLS:
            for seed in SEEDS:
                network = Network(official_order()[cell], SETTINGS.macro).load(task.initial(cell, seed))
                network = network.to(memory_format=torch.channels_last)
                optimiser = torch.optim.SGD(network.parameters(), sgd.rate, 0.9, weight_decay=sgd.decay, nesterov=True)
                images, labels = task.batches(seed, 0)
                for x, y in list(zip(images, labels, strict=True))[:STEPS]:
                    optimiser.zero_grad()
                    torch.nn.functional.cross_entropy(network(x), y).backward()
                    optimiser.step()

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group=GROUP)
def test_replicas_together_in_torch(benchmark: Any) -> None:
    task, sgd = prepare(Task, SETTINGS, "cpu"), SETTINGS.sgd("short")

    def train() -> None:
        with torch.inference_mode():
            for cell in CELLS:
                network = task.network([cell] * len(SEEDS), SEEDS)
                images, labels = task.side_by_side(SEEDS, 0)
                for x, y in list(zip(images, labels, strict=True))[:STEPS]:
                    network.backward(cross_entropy_gradient(network.forward(x, training=True), y))
                    network.parameters.nesterov_step(sgd.rate, sgd.momentum, sgd.decay)

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)


@pytest.mark.skipif(not native.fits(SETTINGS.batch, torch.float32), reason="no C compiler")
@pytest.mark.benchmark(group=GROUP)
def test_compiled_kernels(benchmark: Any) -> None:
    task, sgd = prepare(Task, SETTINGS, "cpu"), SETTINGS.sgd("short")

    def train() -> None:
        for cell in CELLS:
            for seed in SEEDS:
                images = task.blocked_batches(seed, 0)
                some = native.Images(images.pixels[:STEPS], images.labels[:STEPS])
                task.compiled_network(cell, seed).train(some, [sgd.rate] * STEPS, sgd.momentum, sgd.decay)

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)
