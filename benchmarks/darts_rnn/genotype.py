"""Genotypes as DARTS publishes them: ``Genotype(recurrent=[('relu', 0), ('relu', 1), ...], concat=range(1, 9))``.

A flat list has one activation for each node in turn. If a node has more or fewer, the list has one list per node. ``concat``
names the nodes whose mean is the output.
"""

from __future__ import annotations

from typing import Any

from benchmarks import genotypes
from benchmarks.darts_rnn.cell import ACTIVATIONS, NODES, Cell, Inputs, cell_of, inputs, surviving
from harness.space import InvalidArchitecture

_FORM = "Genotype(recurrent=[('relu', 0), ('tanh', 1), ...], concat=range(1, 9))"


def to_text(cell: Cell) -> str:
    """Return the genotype. The inputs of a node are sorted by predecessor, then in the order of the activations."""
    nodes = [[(ACTIVATIONS[number], source) for number, source in inputs(cell, node)] for node in range(1, NODES + 1)]
    flat = all(len(node) == 1 for node in nodes)
    concat = genotypes.concat_text(surviving(cell), 1, NODES)
    return f"Genotype(recurrent={[node[0] for node in nodes] if flat else nodes}, concat={concat})"


def parse(text: str) -> Cell:
    """Return the cell that a genotype spells.

    Raises:
        InvalidArchitecture: the text is not a genotype; the message says why.
    """
    try:
        fields = genotypes.fields(text, ("recurrent", "concat"), _FORM)
        nodes = fields["recurrent"]
        if not isinstance(nodes, list) or len(nodes) != NODES:
            raise ValueError(f"recurrent is no list of {NODES} entries, one for each node")
        cell = cell_of([_inputs(node, entry) for node, entry in enumerate(nodes, 1)])
        genotypes.check_concat("concat", fields["concat"], surviving(cell))
    except ValueError as error:
        raise InvalidArchitecture(f"{text!r}: {error}") from None
    return cell


def _inputs(node: int, entry: Any) -> Inputs:
    entering = entry if isinstance(entry, list) and not genotypes.is_pair(entry) else [entry]
    return genotypes.inputs(f"node {node}", entering, node, ACTIVATIONS, "activation")
