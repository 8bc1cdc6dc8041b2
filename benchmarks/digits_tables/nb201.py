"""The table of nb201/digits: every unique cell of NAS-Bench-201, in a small network.

``docs/digits.md`` describes the records and what must not be claimed from them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from torch import Tensor

from benchmarks.bundled.bundle import Columns
from benchmarks.bundled.clock import Clock, Floats
from benchmarks.digits_tables import build
from benchmarks.digits_tables.commands import From, commands
from benchmarks.digits_tables.graph import Graph, Value
from benchmarks.digits_tables.nb201_statistics import markdown
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.shards import Shards, Unit, opened
from benchmarks.nb201 import network
from benchmarks.nb201.digits_bundle import BUNDLE, SETTINGS, DigitsSettings
from benchmarks.nb201.macro import STAGES, Macro
from benchmarks.nb201.network import KERNEL, NONE, POOL, SKIP, Network
from benchmarks.nb201.space import EDGES, OPS, NB201Space, official_order
from harness.errors import UserError
from harness.seeds import derive
from harness.space import Arch


@cache
def representatives() -> tuple[int, ...]:
    """Return the official index of each unique cell, the smallest of its isomorphic class, ascending: 6 466 numbers."""
    space = NB201Space()
    first: dict[str, int] = {}
    for index, arch in enumerate(official_order()):
        first.setdefault(space.canonical(arch), index)
    return tuple(first.values())


def classes() -> npt.NDArray[np.int64]:
    """Return the representative of each official index: int64 (15625,)."""
    space = NB201Space()
    first = {space.canonical(official_order()[index]): index for index in representatives()}
    return np.array([first[space.canonical(arch)] for arch in official_order()])


@dataclass(frozen=True)
class NB201Recipe(TableRecipe):
    """A cell is an official index of NAS-Bench-201."""

    settings: DigitsSettings = SETTINGS
    bundle = BUNDLE
    norms = network.BN_EPS, network.BN_MOMENTUM

    @property
    def cells(self) -> Sequence[int]:
        return representatives()

    def features(self, cells: Sequence[int]) -> Floats:
        """Return the number of edges with each operation except ``none``, which costs no time."""
        archs = np.array([official_order()[cell] for cell in cells])
        return np.stack([(archs == op).sum(1).astype(float) for op in range(1, len(OPS))], axis=1)

    def graph(self, cell: int) -> Graph:
        return network_graph(official_order()[cell], self.settings.macro)

    def plain(self, cell: int) -> Network:
        return Network(official_order()[cell], self.settings.macro)

    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        seed = derive(self.bundle.name, "init", cell, seed)
        return network.initial_parameters(official_order()[cell], self.settings.macro, seed)

    def columns(self, clock: Clock) -> Columns:
        """Return representative, parameters, MACs and microseconds per image of every string, in official order."""
        order, macro = official_order(), self.settings.macro
        features = self.features(range(len(order)))
        return {
            "index": np.arange(len(order), dtype=np.int16),
            "representative": classes().astype(np.int16),
            "params": np.array([network.parameters(arch, macro) for arch in order], np.int32),
            "macs": np.array([network.macs(arch, macro) for arch in order], np.int32),
            "train_us": clock.train.cost(features).astype(np.float32),
            "evaluate_us": clock.evaluate.cost(features).astype(np.float32),
        }

    def statistics(self, shards: Shards, note: Callable[[str], None]) -> str:
        return markdown(shards, len(representatives()), note)


def network_graph(arch: Arch, macro: Macro) -> Graph:
    """Return the graph of :class:`benchmarks.nb201.network.Network`, without edges that do not reach the output.

    Raises:
        ValueError: reductions are not poolings (``macro.reduction == "pool"``).
    """
    if macro.reduction != "pool":
        raise ValueError(f"reduction {macro.reduction!r} is not implemented for the compiled kernels; take 'pool'")
    graph = Graph(macro.channels, macro.size)
    x = graph.norm(graph.convolution(graph.input, "stem.conv", macro.width, macro.stem), "stem.norm")
    for stage in range(STAGES):
        if stage:
            x = graph.convolution(graph.halve(x), f"reductions.{stage - 1}.shortcut", macro.stage(stage)[0], 1)
        for depth in range(macro.depth):
            x = _cell(graph, x, arch, f"stages.{stage}.{depth}", macro.affine)
    graph.classify(graph.relu(graph.norm(x, "norm")), "classifier", macro.classes)
    return graph


def _cell(graph: Graph, x: Value, arch: Arch, name: str, affine: bool) -> Value:
    nodes = [x, *(graph.value(x.channels, x.size) for _ in range(3))]
    rectified: dict[int, Value] = {}
    for edge in network.used_edges(arch):
        (target, source), op = EDGES[edge], arch[edge]
        into, value = nodes[target], nodes[source]
        if graph.empty(value):
            # a convolution of zeros is zero, and its norm is the norm's shift
            if op in KERNEL and affine:
                graph.norm_of_nothing(f"{name}.{edge}.norm", into)
        elif op == SKIP:
            graph.copy(value, into)
        elif op == POOL:
            graph.pool3(value, into)
        elif op != NONE:
            if source not in rectified:
                rectified[source] = graph.relu(value)
            convolved = graph.convolution(rectified[source], f"{name}.{edge}.conv", x.channels, KERNEL[op])
            graph.norm(convolved, f"{name}.{edge}.norm", affine, into)
    if graph.empty(nodes[3]):
        return graph.zeros(nodes[3])
    return nodes[3]


def app(recipe: NB201Recipe | None = None) -> typer.Typer:
    """Return the commands of the table."""
    recipe = recipe or NB201Recipe()
    application = commands(recipe)

    @application.command()
    def siblings(
        source: From = None,
        cells: Annotated[int, typer.Option(min=2, help="Number of random classes to sample.")] = 16,
        sample: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
    ) -> None:
        """Train other cells of isomorphic classes, and compare each with the cell whose record it shares."""
        compare_siblings(recipe, opened(source or recipe.archive), cells, sample)

    return application


def compare_siblings(recipe: NB201Recipe, shards: Shards, cells: int, sample: int) -> None:
    """Train another cell of random isomorphic classes, and print its distance from the class's trained cell.

    Args:
        recipe: the recipe of the table.
        shards: the records.
        cells: number of classes.
        sample: seed of the random choice.

    Raises:
        UserError: the records contain fewer than two classes with more than one cell.
    """
    rows = [(shard, row) for unit, shard in shards.records() if unit.startswith("main") for row in range(len(shard["cells"]))]
    members: dict[int, list[int]] = {}
    for index, representative in enumerate(classes().tolist()):
        members.setdefault(representative, []).append(index)
    several = [(shard, row) for shard, row in rows if len(members[int(shard["cells"][row])]) > 1]
    if len(several) < 2:
        raise UserError(f"{shards.path} contains no records of two classes with more than one cell yet; run 'build' first")
    draw = random.Random(derive(recipe.bundle.name, "siblings", sample))
    trainer = build.prepare(recipe)
    share = 100 / (trainer.sizes["test"] * recipe.settings.draws)
    apart, seeds = [], []
    for shard, row in draw.sample(several, min(cells, len(several))):
        cell = int(shard["cells"][row])
        sibling = draw.choice(members[cell][1:])
        unit = Unit("sibling", (sibling,), tuple(shard["seeds"].tolist()))
        again = build.train_unit(trainer, unit)["long_test"][0] * share
        first = shard["long_test"][row] * share
        apart.append(float(again.mean() - first.mean()))
        seeds.append(float((again.var(ddof=1) + first.var(ddof=1)) / len(first)) if len(first) > 1 else float("nan"))
        means = f"cell {cell} {first.mean():.2f}, cell {sibling} {again.mean():.2f}"
        typer.echo(f"{means}: {apart[-1]:+.2f} points of mean test accuracy")
    spread = float(np.mean(np.square(apart))) ** 0.5
    typer.echo(
        f"root mean square of the differences {spread:.2f} points; the seeds alone would make {np.mean(seeds) ** 0.5:.2f}"
    )
