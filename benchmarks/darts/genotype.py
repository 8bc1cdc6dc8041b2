"""Genotypes as the papers publish them: ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)``.

A flat list has two operations for each node in turn. If a node of a cell has more or fewer operations, the cell is a list with
one list per node. ``*_concat`` names the nodes that the cell's output concatenates.
"""

from __future__ import annotations

import ast
from itertools import chain
from typing import Any

from benchmarks.darts.cell import INPUTS, NODES, OPS, STATES, Cell, Inputs, cell_of, inputs, surviving
from harness.space import Arch, InvalidArchitecture

CELLS = ("normal", "reduce")
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
    alive = surviving(cell)
    concat = f"range({INPUTS}, {STATES})" if len(alive) == NODES else str(list(alive))
    return f"{name}={list(chain(*nodes)) if flat else nodes}, {name}_concat={concat}"


def parse(text: str) -> Arch:
    """Return the architecture that a genotype spells.

    Raises:
        InvalidArchitecture: the text is not a genotype; the message says why.
    """
    try:
        fields = _fields(text)
        cells = [_cell(name, fields[name], fields[f"{name}_concat"]) for name in CELLS]
    except ValueError as error:
        raise InvalidArchitecture(f"{text!r}: {error}") from None
    return (*cells[0], *cells[1])


def _fields(text: str) -> dict[str, Any]:
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype" or call.args:
        raise ValueError("not of the form Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=...)")
    fields = {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}
    if missing := [name for name in _FIELDS if name not in fields]:
        raise ValueError(f"it has no {missing[0]}")
    if strange := [name for name in fields if name not in _FIELDS]:
        raise ValueError(f"{strange[0]} is no field of a genotype; there are {', '.join(_FIELDS)}")
    return fields


def _value(node: ast.expr) -> Any:
    """Return the value of a literal, and of ``range(...)`` as a list. Raises :class:`ValueError` for other expressions."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        bounds = [_value(bound) for bound in node.args]
        if len(bounds) in (1, 2) and all(type(bound) is int and 0 <= bound <= 99 for bound in bounds):
            return list(range(*bounds))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{ast.unparse(node)} is no plain list") from None


def _cell(name: str, edges: Any, concat: Any) -> Cell:
    nodes = [_inputs(name, node, entering) for node, entering in enumerate(_nodes(name, edges), INPUTS)]
    cell = cell_of(nodes)
    if not isinstance(concat, list | tuple) or not all(type(node) is int for node in concat):
        raise ValueError(f"{name}_concat {concat!r} is no list of nodes")
    alive = surviving(cell)
    if not alive:
        raise ValueError(f"in {name} no operation reads a cell input, so the cell has no output")
    if sorted(concat) != list(alive):
        raise ValueError(f"{name}_concat is {list(concat)}, but the nodes that the cell inputs reach are {list(alive)}")
    return cell


def _nodes(name: str, edges: Any) -> list[Any]:
    """Return the entries of each node."""
    if not isinstance(edges, list | tuple):
        raise ValueError(f"{name} is no list")
    if edges and all(_is_pair(entry) for entry in edges):
        if len(edges) != 2 * NODES:
            raise ValueError(
                f"{name} lists {len(edges)} operations; a flat list has {2 * NODES}, two for each of {NODES} nodes"
            )
        return [edges[2 * node : 2 * node + 2] for node in range(NODES)]
    if len(edges) != NODES or not all(isinstance(node, list | tuple) for node in edges):
        raise ValueError(f"{name} is neither {2 * NODES} pairs (operation, predecessor) nor {NODES} lists of them")
    return list(edges)


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str)


def _inputs(name: str, node: int, entering: Any) -> Inputs:
    pairs: Inputs = []
    for entry in entering:
        if not _is_pair(entry):
            raise ValueError(f"{name}, node {node}: {entry!r} is no pair (operation, predecessor)")
        op, source = entry
        if op not in OPS:
            more = "; an edge with none is left out" if op == "none" else ""
            raise ValueError(f"{name}, node {node}: no operation {op!r}; there are {', '.join(OPS)}{more}")
        if type(source) is not int or not 0 <= source < node:
            raise ValueError(f"{name}, node {node}: predecessor {source!r} is not one of 0 to {node - 1}")
        if (OPS.index(op), source) in pairs:
            raise ValueError(f"{name}, node {node}: {op} on predecessor {source} twice")
        pairs.append((OPS.index(op), source))
    return pairs
