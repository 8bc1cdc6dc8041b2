"""NAS-Bench-101's macro network of a cell as a graph for the compiled kernels."""

from __future__ import annotations

from benchmarks.nb1shot1.cell import KERNEL, Cell
from benchmarks.nb1shot1.macro import Macro
from benchmarks.nb1shot1.size import vertex_channels
from benchmarks.training.graph import Graph, Value


def network_graph(cell: Cell, macro: Macro) -> Graph:
    """What :class:`benchmarks.nb1shot1.network.Network` computes."""
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
    joined = graph.value(outputs, x.size)  # where the vertices that feed the output write side by side
    begun = 0
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
            into, begun = joined.part(begun, width), begun + width
        if op in KERNEL:
            values.append(_conv_norm_relu(graph, total, f"{name}.vertices.{vertex}", width, KERNEL[op], into))
        else:
            values.append(graph.max_pool3(total, into))
    if not matrix[0][last]:
        return joined
    direct = _conv_norm_relu(graph, x, f"{name}.projections.{last}", outputs, 1)
    if not begun:
        return direct
    total = graph.value(outputs, x.size)
    graph.copy(joined, total)
    return graph.copy(direct, total)
