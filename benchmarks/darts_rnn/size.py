"""Trainable parameters and multiply-adds of the language model of a cell."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.darts_rnn.cell import NODES, inputs, pruned, surviving
from harness.space import Arch


class Size(NamedTuple):
    """The size of a language model."""

    parameters: int
    macs: int
    """Multiply-adds of one token in the matrices of the cell and in the decoder. Everything else counts as zero."""


def model_size(arch: Arch, width: int, types: int) -> Size:
    """Return the exact size, without building the model.

    Args:
        arch: the cell.
        width: number of hidden units, which is the length of an embedding.
        types: size of the vocabulary.
    """
    cell = pruned(arch)
    entered = sum(len({source for _, source in inputs(cell, node)}) for node in range(1, NODES + 1))
    parameters = types * (width + 1) + (4 + 2 * len(surviving(cell))) * width**2  # tied embedding and decoder
    return Size(parameters, pass_macs(entered, width, types))


def pass_macs(edges: int, width: int, types: int) -> int:
    """Return the multiply-adds of one token if this number of edges have activations."""
    return (4 + 2 * edges) * width**2 + types * width
