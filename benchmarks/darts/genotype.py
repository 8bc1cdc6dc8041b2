"""Genotypes as the papers publish them: ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)``.

A flat list has two operations for each node in turn. If a node of a cell has more or fewer operations, the cell is a list with
one list per node. ``*_concat`` names the nodes that the cell's output concatenates.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from benchmarks import genotypes
from benchmarks.darts.cell import INPUTS, NODES, OPS, STATES, Cell, cell_of, inputs, surviving
from harness.space import Arch, InvalidArchitecture

CELLS = ("normal", "reduce")
_FORM = "Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=...)"
_FIELDS = tuple(f"{cell}{part}" for cell in CELLS for part in ("", "_concat"))


def to_text(arch: Arch) -> str:
    """Return the genotype. The inputs of a node are sorted by predecessor, then in the order of the operations."""
    half = len(arch) // 2
    return (
        "Genotype("
        + ", ".join(_spelled(name, cell) for name, cell in zip(CELLS, (arch[:half], arch[half:]), strict=True))
        + ")"
    )


def _spelled(name: str, cell: Cell) -> str:
    nodes = [[(OPS[op], source) for op, source in inputs(cell, node)] for node in range(INPUTS, STATES)]
    flat = all(len(node) == 2 for node in nodes)
    concat = genotypes.concat_text(surviving(cell), INPUTS, NODES)
    return f"{name}={list(chain(*nodes)) if flat else nodes}, {name}_concat={concat}"


def parse(text: str) -> Arch:
    """Return the architecture that a genotype spells.

    Raises:
        InvalidArchitecture: the text is not a genotype; the message says why.
    """
    try:
        fields = genotypes.fields(text, _FIELDS, _FORM)
        cells = [_cell(name, fields[name], fields[f"{name}_concat"]) for name in CELLS]
    except ValueError as error:
        raise InvalidArchitecture(f"{text!r}: {error}") from None
    return (*cells[0], *cells[1])


def _cell(name: str, edges: Any, concat: Any) -> Cell:
    nodes = [
        genotypes.inputs(f"{name}, node {node}", entering, node, OPS, "operation")
        for node, entering in enumerate(_nodes(name, edges), INPUTS)
    ]
    cell = cell_of(nodes)
    if not surviving(cell):
        raise ValueError(f"in {name} no operation reads a cell input, so the cell has no output")
    genotypes.check_concat(f"{name}_concat", concat, surviving(cell))
    return cell


def _nodes(name: str, edges: Any) -> list[Any]:
    """Return the entries of each node."""
    if not isinstance(edges, list | tuple):
        raise ValueError(f"{name} is no list")
    if edges and all(genotypes.is_pair(entry) for entry in edges):
        if len(edges) != 2 * NODES:
            raise ValueError(
                f"{name} lists {len(edges)} operations; a flat list has {2 * NODES}, two for each of {NODES} nodes"
            )
        return [edges[2 * node : 2 * node + 2] for node in range(NODES)]
    if len(edges) != NODES or not all(isinstance(node, list | tuple) for node in edges):
        raise ValueError(f"{name} is neither {2 * NODES} pairs (operation, predecessor) nor {NODES} lists of them")
    return list(edges)
