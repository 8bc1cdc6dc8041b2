"""The search space: the weights that a fully connected network has. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from harness.space import Arch, InvalidArchitecture, SearchSpace


class MaskSpace(SearchSpace):
    """Space of the sub-networks of a fully connected network: 1 for a weight that is there, 0 for a weight that is pruned.

    Positions run over the layers, then over the units that weights leave, then over the units that they enter. Text is the
    same digits in hexadecimal.

    Args:
        sizes: number of inputs, of neurons of each hidden layer, and of classes.
    """

    citations = ("wu2021sparsenas",)

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.name = f"mlp-{'-'.join(map(str, sizes))}"
        self.cardinalities = (2,) * sum(a * b for a, b in itertools.pairwise(sizes))

    def to_str(self, arch: Arch) -> str:
        return f"{int(''.join(map(str, arch)), 2):0{self._digits}x}"

    def from_str(self, text: str) -> Arch:
        positions = len(self.cardinalities)
        plain = len(text) == self._digits and set(text) <= set("0123456789abcdef")
        bits = f"{int(text, 16):0{positions}b}" if plain else ""
        if len(bits) != positions:
            wanted = f"{self._digits} hexadecimal digits for {positions:,} weights"
            raise InvalidArchitecture(f"{text!r:.200} is not a sub-network of {self.name}: {wanted}")
        return tuple(map(int, bits))

    @property
    def _digits(self) -> int:
        return -(-len(self.cardinalities) // 4)
