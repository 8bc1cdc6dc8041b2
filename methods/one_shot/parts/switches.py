"""Architectures as switches, one for every operation but ``none`` on every edge (CoNAS). Imports no torch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.weight_sharing import Active, Decision


class Switches:
    """The switches of a space. Positions count decisions, rows and options, in this order. A code has +1 (on) or -1 for each.

    Raises:
        ValueError: ``none`` is an option; an edge whose switches are all off is ``none`` already.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions
        self.rows: list[tuple[int, int, range]] = []
        """(decision, target, positions) of each row."""
        start = 0
        for number, decision in enumerate(decisions):
            if "none" in decision.options:
                raise ValueError("an edge whose switches are all off is 'none'; build the supernet without it")
            for row in range(decision.rows):
                stop = start + len(decision.options)
                self.rows.append((number, decision.targets[row], range(start, stop)))
                start = stop
        self.count = start
        self.node = [(number, target) for number, target, positions in self.rows for _ in positions]
        """For each position, the node (decision, target) that it enters."""

    def drawn(self, rng: random.Random, frozen: Mapping[int, int] | None = None) -> list[int]:
        """Return a random code.

        If a row may have several options, each switch is on with probability 1/2 (D-02). Otherwise at most one switch of the
        row is on: the one that is frozen to on, else one or none of the free ones, with equal probabilities.

        Args:
            rng: source of randomness.
            frozen: signs of positions that the code must have.
        """
        fixed, code = frozen or {}, []
        for number, _, positions in self.rows:
            signs = [fixed.get(position, 0) for position in positions]
            if self.decisions[number].several:
                code += [sign or (1 if rng.random() < 0.5 else -1) for sign in signs]
                continue
            on = [k for k, sign in enumerate(signs) if sign > 0]
            chosen = rng.choice(on or [-1, *(k for k, sign in enumerate(signs) if not sign)])
            code += [1 if k == chosen else -1 for k in range(len(signs))]
        return code

    def active(self, on: Iterable[int]) -> Active:
        """Return the options to execute if these positions are on."""
        lit = set(on)
        tables: list[list[tuple[int, ...]]] = [[] for _ in self.decisions]
        for number, _, positions in self.rows:
            tables[number].append(tuple(k for k, position in enumerate(positions) if position in lit))
        return tuple(map(tuple, tables))

    def entering(self, on: Iterable[int]) -> dict[tuple[int, int], list[list[int]]]:
        """Return for each node (decision, target) the positions that are on, edge by edge."""
        lit = set(on)
        nodes: dict[tuple[int, int], list[list[int]]] = {}
        for number, target, positions in self.rows:
            nodes.setdefault((number, target), []).append([position for position in positions if position in lit])
        return nodes
