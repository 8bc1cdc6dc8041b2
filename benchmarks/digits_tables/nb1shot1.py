"""The table of nb1shot1/1-digits: every different cell of space 1 of NAS-Bench-1Shot1, in a small network.

``docs/nb1shot1-digits.md`` describes the records and what must not be claimed from them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import typer
from torch import Tensor

from benchmarks.bundled.bundle import Columns
from benchmarks.bundled.clock import Clock, Floats
from benchmarks.digits_tables import datasheet
from benchmarks.digits_tables.assembly import records
from benchmarks.digits_tables.commands import commands
from benchmarks.digits_tables.graph import Graph, Value
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.shards import Shards
from benchmarks.digits_tables.statistics import accuracies, groups
from benchmarks.nb1shot1.benchmark import NB1Shot1Judge
from benchmarks.nb1shot1.cell import KERNEL, OPS, Cell
from benchmarks.nb1shot1.digits_bundle import BUNDLE, SETTINGS, DigitsSettings
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.macro import Macro
from benchmarks.nb1shot1.network import BN_EPS, BN_MOMENTUM, Network, initial_parameters
from benchmarks.nb1shot1.size import network_size, vertex_channels
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness.cache import Table
from harness.seeds import derive

SPACE = NB1Shot1Space(1)
EPOCHS = 108
"""Epochs of NAS-Bench-101's longest trainings."""


@cache
def representatives() -> tuple[int, ...]:
    """Return the number of the first architecture of each different cell: 2 685 numbers, in a fixed random order.

    The order is random, so that the cells of an unfinished build are a sample of all.
    """
    keys: dict[Cell, str] = {}
    first: dict[str, int] = {}
    for number in range(SPACE.size):
        cell = SPACE.cell(SPACE.at(number))
        if cell not in keys:
            keys[cell] = fingerprint(cell)
        first.setdefault(keys[cell], number)
    numbers = list(first.values())
    random.Random(derive("nb1shot1/1-digits", "order")).shuffle(numbers)
    return tuple(numbers)


@dataclass(frozen=True)
class NB1Shot1Recipe(TableRecipe):
    """A cell is the number of an architecture of space 1."""

    settings: DigitsSettings = SETTINGS
    bundle = BUNDLE
    norms = BN_EPS, BN_MOMENTUM

    @property
    def cells(self) -> Sequence[int]:
        return representatives()

    def features(self, cells: Sequence[int]) -> Floats:
        """Return the numbers of vertices of each operation, of projections, and of thousands of multiply-adds."""
        rows = []
        for number in cells:
            cell = _cell_of(number)
            counts = [cell.ops.count(op) for op in range(len(OPS))]
            rows.append([*counts, sum(cell.matrix[0]), network_size(cell, self.settings.macro)[1] / 1000])
        return np.array(rows, float)

    def graph(self, cell: int) -> Graph:
        return network_graph(_cell_of(cell), self.settings.macro)

    def plain(self, cell: int) -> Network:
        return Network(_cell_of(cell), self.settings.macro)

    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        return initial_parameters(_cell_of(cell), self.settings.macro, derive(self.bundle.name, "init", cell, seed))

    def columns(self, clock: Clock) -> Columns:
        """Return parameters, MACs and microseconds per image of every different cell, ascending by number."""
        numbers = sorted(representatives())
        sizes = np.array([network_size(_cell_of(number), self.settings.macro) for number in numbers], np.int32)
        features = self.features(numbers)
        return {
            "cell": np.array(numbers, np.int16),
            "params": sizes[:, 0],
            "macs": sizes[:, 1],
            "train_us": clock.train.cost(features).astype(np.float32),
            "evaluate_us": clock.evaluate.cost(features).astype(np.float32),
        }

    def statistics(self, shards: Shards, note: Callable[[str], None]) -> str:
        final, _ = records(shards)
        by_recipe = accuracies(final, shards.plan["settings"]["draws"])
        long, table = by_recipe["long"], LIBRARY.find_table(note)
        kind, theirs = "", None
        if table is not None:
            kind, theirs = table.meta["kind"], {"cifar10": _theirs(table, long.cells.tolist())}
        blocks = [
            datasheet.covered(final, len(representatives())),
            *datasheet.spread(by_recipe),
            *datasheet.noise(by_recipe, groups(long)),
            *datasheet.best(long, lambda cell: SPACE.to_str(SPACE.at(cell))),
            *datasheet.clock(shards.clock()),
            *datasheet.agreement("NAS-Bench-101", long, theirs, kind, f"{EPOCHS} epochs"),
        ]
        return "\n\n".join(blocks) + "\n"


def _cell_of(number: int) -> Cell:
    """Return NAS-Bench-101's cell of an architecture."""
    return SPACE.cell(SPACE.at(number))


def _theirs(table: Table, cells: list[int]) -> Floats:
    """Return NAS-Bench-101's mean test accuracy of cells, NaN if the table has none."""
    judge = NB1Shot1Judge(table, SPACE, EPOCHS)
    return np.array([judge.score(SPACE.at(cell))["cifar10"]["test"] for cell in cells])


def network_graph(cell: Cell, macro: Macro) -> Graph:
    """Return the graph of :class:`benchmarks.nb1shot1.network.Network`."""
    graph = Graph(macro.channels, macro.size)
    x = _conv_norm_relu(graph, graph.input, "stem", macro.width, macro.stem)
    for name, _, outputs, size in macro.places():
        if x.size != size:
            x = graph.halve_max(x)
        x = _cell(graph, x, cell, name, outputs)
    graph.classify(x, "classifier", macro.classes)
    return graph


def _conv_norm_relu(graph: Graph, x: Value, name: str, outputs: int, kernel: int, into: Value | None = None) -> Value:
    return graph.relu(graph.norm(graph.convolution(x, f"{name}.conv", outputs, kernel), f"{name}.norm"), into)


def _cell(graph: Graph, x: Value, cell: Cell, name: str, outputs: int) -> Value:
    matrix, last = cell.matrix, len(cell.matrix) - 1
    widths = vertex_channels(matrix, x.channels, outputs)
    joined = graph.value(outputs, x.size)  # the vertices that feed the output write into adjacent channels
    filled = 0
    values = [x]
    for vertex, op in enumerate(cell.ops, 1):
        width = widths[vertex]
        terms = [values[source].part(0, width) for source in range(1, vertex) if matrix[source][vertex]]
        if matrix[0][vertex]:
            terms.append(_conv_norm_relu(graph, x, f"{name}.projections.{vertex}", width, 1))
        total = terms[0]
        if len(terms) > 1:
            total = graph.value(width, x.size)
            for term in terms:
                graph.copy(term, total)
        into = None
        if matrix[vertex][last]:
            into, filled = joined.part(filled, width), filled + width
        if op in KERNEL:
            values.append(_conv_norm_relu(graph, total, f"{name}.vertices.{vertex}", width, KERNEL[op], into))
        else:
            values.append(graph.max_pool3(total, into))
    if not matrix[0][last]:
        return joined
    direct = _conv_norm_relu(graph, x, f"{name}.projections.{last}", outputs, 1)
    if not filled:
        return direct
    total = graph.value(outputs, x.size)
    graph.copy(joined, total)
    return graph.copy(direct, total)


def app(recipe: NB1Shot1Recipe | None = None) -> typer.Typer:
    """Return the commands of the table."""
    return commands(recipe or NB1Shot1Recipe())
