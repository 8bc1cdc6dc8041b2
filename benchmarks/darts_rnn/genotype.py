"""Genotypes as DARTS publishes them: ``Genotype(recurrent=[('relu', 0), ('relu', 1), ...], concat=range(1, 9))``.

A flat list has one activation for each node in turn. If a node has more or fewer, the list has one list per node. ``concat``
names the nodes whose mean is the output.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from benchmarks.darts_rnn.cell import ACTIVATIONS, NODES, Cell, Inputs, cell_of, inputs, surviving
from harness.space import InvalidArchitecture

_FORM = re.compile(
    r"\s*Genotype\(\s*recurrent\s*=\s*(\[.*\])\s*,\s*concat\s*=\s*(?:range\((\d{1,2}),\s*(\d{1,2})\)|(\[[\d,\s]*\]))\s*\)\s*",
    re.DOTALL | re.ASCII,
)


def to_text(cell: Cell) -> str:
    """Return the genotype. The inputs of a node are sorted by predecessor, then in the order of the activations."""
    nodes = [[(ACTIVATIONS[number], source) for number, source in inputs(cell, node)] for node in range(1, NODES + 1)]
    flat = all(len(node) == 1 for node in nodes)
    alive = surviving(cell)
    concat = f"range(1, {NODES + 1})" if len(alive) == NODES else str(list(alive))
    return f"Genotype(recurrent={[node[0] for node in nodes] if flat else nodes}, concat={concat})"


def parse(text: str) -> Cell:
    """Return the cell that a genotype spells.

    Raises:
        InvalidArchitecture: the text is not a genotype; the message says why.
    """
    try:
        return _parsed(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidArchitecture(f"{text!r}: {error}") from None


def _parsed(text: str) -> Cell:
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError("not of the form Genotype(recurrent=[('relu', 0), ('tanh', 1), ...], concat=range(1, 9))")
    nodes = ast.literal_eval(form[1])
    concat = list(range(int(form[2]), int(form[3]))) if form[2] else ast.literal_eval(form[4])
    if len(nodes) != NODES:
        raise ValueError(f"recurrent has {len(nodes)} entries, one for each of {NODES} nodes")
    cell = cell_of([_inputs(node, entry) for node, entry in enumerate(nodes, 1)])
    if concat != list(surviving(cell)):
        raise ValueError(f"concat names {concat}; the nodes that the input reaches are {list(surviving(cell))}")
    return cell


def _inputs(node: int, entry: Any) -> Inputs:
    entering: Inputs = []
    for pair in entry if isinstance(entry, list) else [entry]:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise ValueError(f"node {node}: {pair!r} is no pair (activation, predecessor)")
        name, source = pair
        if name not in ACTIVATIONS:
            raise ValueError(f"node {node}: no activation {name!r}; there are {', '.join(ACTIVATIONS)}")
        if type(source) is not int or not 0 <= source < node:
            raise ValueError(f"node {node}: predecessor {source!r} is not one of 0 to {node - 1}")
        if (ACTIVATIONS.index(name), source) in entering:
            raise ValueError(f"node {node}: {name} of predecessor {source} twice")
        entering.append((ACTIVATIONS.index(name), source))
    return entering
