"""NAS-Bench-101's network has the sizes that the benchmark records."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.nb1shot1.cell import Cell, prune
from benchmarks.nb1shot1.macro import PAPER, Macro
from benchmarks.nb1shot1.network import Network, parameter_shapes
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space

SMALL = Macro(width=6, depth=1, channels=1, size=8, stem=1)


def _matrix(*edges: tuple[int, int], size: int) -> list[list[int]]:
    return [[int((source, target) in edges) for target in range(size)] for source in range(size)]


CELLS = {
    "input to output": Cell(((0, 1), (0, 0)), ()),
    "chain": prune(_matrix((0, 1), (1, 2), (2, 3), size=4), [0, 2]),
    "direct edge next to vertices": prune(_matrix((0, 1), (1, 2), (2, 4), (0, 4), (0, 3), (3, 4), size=5), [0, 1, 2]),
    # 6 channels over the three that feed the output; the first vertex is as wide as the widest it feeds, and is cut for others
    "cut": prune(_matrix((0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 5), (0, 4), size=6), [1, 0, 2, 0]),
    "uneven": prune(_matrix((0, 1), (0, 2), (1, 3), (2, 3), (1, 4), (3, 5), (4, 5), (2, 5), size=6), [2, 1, 0, 0]),
}


def samples(count: int) -> list[Cell]:
    space, rng = NB1Shot1Space(1), random.Random(0)
    return [space.cell(space.sample(rng)) for _ in range(count)]


@pytest.mark.parametrize("macro", [PAPER, SMALL, Macro(width=7, depth=2, channels=3, size=8, stem=3)])
def test_its_parameters_and_multiplications_are_the_benchmark_s(macro: Macro) -> None:
    sizes = {name: size for name, _, _, size in macro.places()} | {"stem": macro.size}
    for cell in [*CELLS.values(), *samples(40)]:
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
