"""The search space: a pool of configurations drawn once per world. An architecture is an index in that pool."""

from __future__ import annotations

from harness.space import Arch, InvalidArchitecture, SearchSpace


class PoolSpace(SearchSpace):
    """Space of ``size`` configurations without structure that a search could use: ``(17,)`` is the pool's eighteenth.

    What an index means depends on the world; ``benchmarks.feature_maps`` spells it out in words.
    """

    citations = ("khodak2020weightsharing",)

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.cardinalities = (size,)

    def to_str(self, arch: Arch) -> str:
        return str(arch[0])

    def from_str(self, text: str) -> Arch:
        arch = (int(text),) if text.isascii() and text.isdigit() and len(text) < 10 else ()
        if arch not in self:
            raise InvalidArchitecture(f"{text!r} is not a configuration of {self.name}: a number below {self.size}")
        return arch
