"""Architectures and search spaces."""

from __future__ import annotations

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator

from harness.graphs import Depiction, Graph

Arch = tuple[int, ...]
"""An architecture: one small int per position of its space, immutable and hashable."""


class InvalidArchitecture(ValueError):
    """A query or a proposal is not an architecture of the search space."""


def as_arch(value: object) -> Arch:
    """Return an architecture as a tuple of ints. ``value`` may be a list or an array, and may contain NumPy integers.

    Raises:
        InvalidArchitecture: anything else, such as text, floats and truth values.
    """
    numbers = value.tolist() if hasattr(value, "tolist") else value
    try:
        if not isinstance(numbers, (tuple, list)) or any(isinstance(number, bool) for number in numbers):
            raise TypeError
        return tuple(operator.index(number) for number in numbers)
    except TypeError:
        raise InvalidArchitecture(f"{value!r:.200} is not an architecture: a tuple of ints") from None


class SearchSpace(ABC):
    """A product of categorical choices: position ``i`` takes an int in ``range(cardinalities[i])``.

    The defaults suit any such product. A space overrides the methods in which its paper differs.
    """

    name: str
    cardinalities: tuple[int, ...]
    chooses_edges: bool = False
    """True if operations are on edges and an architecture has only some of the edges of its cells."""
    citations: tuple[str, ...] = ()
    """Keys of its papers in ``reports/references.bib``."""
    depiction: Depiction | None = None
    """How reports draw the graphs of an architecture; None if it has none."""

    @property
    def size(self) -> int:
        """Return the number of architectures."""
        total = 1
        for n in self.cardinalities:
            total *= n
        return total

    def __contains__(self, arch: object) -> bool:
        return (
            isinstance(arch, tuple)
            and len(arch) == len(self.cardinalities)
            and all(type(a) is int and 0 <= a < n for a, n in zip(arch, self.cardinalities, strict=True))
        )

    def sample(self, rng: random.Random) -> Arch:
        """Return one architecture, drawn uniformly."""
        rand = rng.random
        return tuple([int(rand() * n) for n in self.cardinalities])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return a copy with one position changed to another value, both drawn uniformly."""
        return self.change(arch, rng.randrange(len(arch)), rng)

    def change(self, arch: Arch, position: int, rng: random.Random) -> Arch:
        """Return a copy with ``position`` changed to another value, drawn uniformly."""
        value = int(rng.random() * (self.cardinalities[position] - 1))
        if value >= arch[position]:
            value += 1
        return (*arch[:position], value, *arch[position + 1 :])

    def neighbors(self, arch: Arch) -> Iterator[Arch]:
        """Yield every architecture that differs in exactly one position, in order of position and value."""
        for position, n in enumerate(self.cardinalities):
            for value in range(n):
                if value != arch[position]:
                    yield (*arch[:position], value, *arch[position + 1 :])

    def canonical(self, arch: Arch) -> str:
        """Return a name that isomorphic architectures share. By default no two architectures are isomorphic."""
        return self.to_str(arch)

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return the cells of an architecture for drawings; empty if the space has no ``depiction``."""
        return ()

    @abstractmethod
    def to_str(self, arch: Arch) -> str:
        """Return the field's spelling of ``arch``."""

    @abstractmethod
    def from_str(self, text: str) -> Arch:
        """Return the architecture that ``text`` spells.

        Raises:
            InvalidArchitecture: with the reason.
        """
