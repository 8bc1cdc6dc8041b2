"""The NAS-Bench-201 macro network of a cell as a graph for the compiled kernels."""

from __future__ import annotations

from benchmarks.nb201.network import KERNEL, NONE, POOL, SKIP, STAGES, Macro, used_edges
from benchmarks.nb201.space import EDGES
from benchmarks.training.graph import Graph, Value
from harness.space import Arch


def network_graph(arch: Arch, macro: Macro) -> Graph:
    """What :class:`benchmarks.nb201.network.Network` computes; edges that reach nothing are left out.

    Reductions must be poolings: ``macro.reduction == "pool"``.
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
    for edge in used_edges(arch):
        (target, source), op = EDGES[edge], arch[edge]
        into, value = nodes[target], nodes[source]
        if graph.empty(value):
            # convolution makes zeros of zeros and the norm makes its shift of them
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
