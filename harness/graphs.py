"""Architectures as graphs, for reports, which draw cells and count their operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["identity", "zero", "pooling", "convolution", ""]
"""Result of an operation: its input, zeros, a pooling, a convolution; empty if it is none of them."""


class Operation(NamedTuple):
    """An operation of a search space."""

    label: str
    """Short name in drawings."""
    kind: Kind = ""


class Edge(NamedTuple):
    """An edge of a graph."""

    source: int
    target: int
    operation: str = ""
    """Name of the operation; empty if the edge only passes its input on."""


class Graph(NamedTuple):
    """One cell of an architecture; nodes are numbered in topological order, the last one is the output."""

    nodes: tuple[str, ...]
    """Labels for drawings."""
    edges: tuple[Edge, ...]
    name: str = ""
    """``normal``; empty if an architecture is one cell."""
    inputs: int = 1
    """The first nodes, which nothing enters."""


@dataclass(frozen=True)
class Depiction:
    """Texts and operations for the drawings of a search space's architectures."""

    title: str
    """Name of the space within a sentence: ``DARTS space``."""
    legend: str
    """Sentences that explain the nodes and edges of a drawing."""
    cells: str = ""
    """The cells of one architecture in words, if there are several: ``normal and reduction cell``."""
    operations: dict[str, Operation] = field(default_factory=dict)
    """By the operation's name in an architecture's spelling."""
