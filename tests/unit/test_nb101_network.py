"""NAS-Bench-101's network: its sizes are the benchmark's, and compiled kernels train it as PyTorch does."""

from __future__ import annotations

import math
import random

import pytest
import torch

from benchmarks.nb1shot1.cell import Cell, prune
from benchmarks.nb1shot1.graph import network_graph
from benchmarks.nb1shot1.macro import PAPER, Macro
from benchmarks.nb1shot1.network import Network, initial_parameters, parameter_shapes
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.training import native
from benchmarks.training.batched import Sgd

SMALL = Macro(width=6, depth=1, channels=1, size=8, stem=1)
SGD = Sgd(rate=0.2)
EPOCHS, STEPS, BATCH = 2, 3, 32


def _matrix(*edges: tuple[int, int], size: int) -> list[list[int]]:
    return [[int((source, target) in edges) for target in range(size)] for source in range(size)]


CELLS = {
    "input to output": Cell(((0, 1), (0, 0)), ()),
    "chain": prune(_matrix((0, 1), (1, 2), (2, 3), size=4), [0, 2]),
    "direct edge beside vertices": prune(_matrix((0, 1), (1, 2), (2, 4), (0, 4), (0, 3), (3, 4), size=5), [0, 1, 2]),
    # 6 channels over the three that feed the output; the first vertex is as wide as the widest it feeds, and is cut for others
    "cut": prune(_matrix((0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 5), (0, 4), size=6), [1, 0, 2, 0]),
    "uneven": prune(_matrix((0, 1), (0, 2), (1, 3), (2, 3), (1, 4), (3, 5), (4, 5), (2, 5), size=6), [2, 1, 0, 0]),
}


def _samples(count: int) -> list[Cell]:
    space, rng = NB1Shot1Space(1), random.Random(0)
    return [space.cell(space.sample(rng)) for _ in range(count)]


@pytest.mark.parametrize("macro", [PAPER, SMALL, Macro(width=7, depth=2, channels=3, size=8, stem=3)])
def test_its_parameters_and_multiplications_are_the_benchmark_s(macro: Macro) -> None:
    sizes = {name: size for name, _, _, size in macro.places()} | {"stem": macro.size}
    for cell in [*CELLS.values(), *_samples(40)]:
        shapes = parameter_shapes(cell, macro)
        convolutions = {name: math.prod(shape) for name, shape in shapes.items() if name.endswith(".conv.weight")}
        where = {name: "stem" if name.startswith("stem.") else ".".join(name.split(".")[:3]) for name in convolutions}
        macs = sum(weights * sizes[where[name]] ** 2 for name, weights in convolutions.items())
        parameters = sum(math.prod(shape) for shape in shapes.values())
        assert network_size(cell, macro) == (parameters, macs + math.prod(shapes["classifier.weight"]))


def test_the_module_has_these_parameters() -> None:
    macro = Macro(width=7, depth=2, channels=3, size=8, stem=3)
    for cell in CELLS.values():
        assert {name: tuple(value.shape) for name, value in Network(cell, macro).named_parameters()} == parameter_shapes(
            cell, macro
        )


@pytest.mark.skipif(not native.fits(BATCH, torch.float64), reason="no C compiler")
@pytest.mark.parametrize(
    ("cell", "macro"),
    [
        *((cell, SMALL) for cell in CELLS.values()),
        *((cell, SMALL) for cell in _samples(3)),
        (CELLS["cut"], Macro(width=7, depth=2, channels=3, size=8, stem=3)),
    ],
)
def test_compiled_kernels_train_the_plain_network(cell: Cell, macro: Macro) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (EPOCHS, STEPS * BATCH, macro.channels, macro.size, macro.size)
    images = torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, shape[:2], generator=generator)
    initial = initial_parameters(cell, macro, 3)
    together = native.Network(network_graph(cell, macro), initial, BATCH, torch.float64)
    native.train(together, EPOCHS, SGD, lambda epoch: native.blocked(images[epoch], labels[epoch], BATCH), lambda _: None)

    alone = Network(cell, macro).load(initial).double()
    optimiser = torch.optim.SGD(alone.parameters(), SGD.rate, SGD.momentum, weight_decay=SGD.decay, nesterov=True)
    for epoch in range(EPOCHS):
        for step, (x, y) in enumerate(zip(images[epoch].split(BATCH), labels[epoch].split(BATCH), strict=True)):
            optimiser.param_groups[0]["lr"] = SGD.at((epoch + step / STEPS) / EPOCHS)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(alone(x), y).backward()
            optimiser.step()

    trained = together.parameters()
    for name, value in alone.named_parameters():
        torch.testing.assert_close(trained[name], value.data, rtol=1e-7, atol=1e-8)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(alone.eval()(images[0]), labels[0], reduction="sum").item()
    assert together.evaluate(native.blocked(images[0], labels[0], BATCH))[1] == pytest.approx(expected, rel=1e-8)
