"""What a cell computes, beyond the unique string: whether anything reaches its output, and which cells are equal."""

from __future__ import annotations

from benchmarks.nb201.space import OPS
from harness.space import Arch

NOTHING = ""
"""What a cell computes whose output nothing reaches."""


def function(arch: Arch) -> str:
    """A name that cells share exactly when they are the same sums of operations; there are 4 930.

    Zero terms are dropped, identities contracted, nested sums flattened and sorted; pooling is not distributed over a sum. What
    is computed once and used twice has the name of what is computed twice with weights of its own, as in the unique string.
    """
    nodes: list[list[str]] = [["x"]]
    position = 0
    for target in (1, 2, 3):
        terms: list[str] = []
        for source in range(target):
            op, inputs = OPS[arch[position]], nodes[source]
            position += 1
            if op == "none" or not inputs:
                continue
            terms += inputs if op == "skip_connect" else [f"({'+'.join(inputs)})@{op}"]
        nodes.append(sorted(terms))
    return "+".join(nodes[3]) or NOTHING


def live(arch: Arch) -> bool:
    """Whether a path without ``none`` leads from the input to the output; there is none in 341 cells."""
    return function(arch) != NOTHING
