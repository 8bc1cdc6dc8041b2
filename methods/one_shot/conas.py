from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from methods.one_shot.parts.search import Search
    from methods.one_shot.parts.switches import Switches


@dataclass(frozen=True)
class Conas(training.WeightTraining):
    """CoNAS: the supernet's loss as a sparse polynomial of switched operations, recovered by the Lasso, minimised exactly.

    In the DARTS space every operation on every edge is a switch of its own, on or off with equal chances (D-02). On
    NAS-Bench-201 a measured cell has one operation per edge or ``none``; the minimiser may switch on several on an edge, of
    which one is drawn, or none, which is ``none``.
    """

    epochs: Annotated[int, "passes over the images that train the weights"] = 100
    lr_ahead: Annotated[int, "epochs that the schedule runs ahead: the scheduler is advanced before the first epoch"] = 1
    clip: Annotated[float, "largest norm of the weights' gradient; not in the paper (D-05)"] = 0.25
    measurements: Annotated[int, "cells measured per round (m)"] = 300
    measured_batches: Annotated[
        int, "validation batches, augmented and other ones for each cell, that are averaged; 0: all images, plain (D-03)"
    ] = 10
    threshold: Annotated[float, "measured losses above this are dropped (tau)"] = 1.8
    penalty: Annotated[float, "of the Lasso (lambda)"] = 5.0
    scale: Annotated[Literal["released", "paper"], "objective that the penalty belongs to (D-07)"] = "released"
    terms: Annotated[int, "largest coefficients kept, the constant's included (s, D-08)"] = 14
    constant_counts: Annotated[bool, "the constant takes one of their places (D-08)"] = True
    rounds: Annotated[int, "at most: measure, fit, freeze, again with what is frozen, until every node has inputs (D-09)"] = 1
    inputs: Annotated[int, "edges into a node, or all there are, that are enough"] = 1
    most_inputs: Annotated[int, "operations that a node keeps, those of largest coefficients; 0: all (CoNAS (2): two)"] = 0

    reference: ClassVar[str] = "arXiv:1906.02869"
    citations: ClassVar[tuple[str, ...]] = ("cho2019conas",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "paper_scale": {"scale": "paper"},
        "two_inputs": {"most_inputs": 2, "inputs": 2},
    }
    # four rounds, as the paper freezes and goes on until there are edges enough (D-09)
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {
            **training.DARTS,
            **{"measurements": 3000, "threshold": 1.5, "penalty": 10.0, "terms": 12, "rounds": 4},
        },
        "toy_sharing": {"measurements": 20},
    }

    def skip(self, problem: Problem) -> str | None:
        if self.most_inputs and not hasattr(problem.space, "accepts"):
            return f"a node of {problem.space.name} takes one operation from each of its inputs"
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.search import Forward, Search
        from methods.one_shot.parts.switches import Switches

        search = Search(view, self, none=False)
        switches = Switches(search.net.decisions)
        for epoch in search.epochs(evaluated=self.measurements * self.measured_batches * self.batch):
            for batch in search.task.batches("train", self.batch, epoch):
                cell = switches.active(_on(switches.drawn(search.rng)))
                search.step_weights(search.loss(batch, Forward(active=cell)))
            search.record(Forward(active=cell))
        return self._choice(search, switches, self._minimiser(search, switches))

    def _minimiser(self, search: Search, switches: Switches) -> _Minimiser:
        from methods.one_shot.parts.fourier import largest_terms, lasso, minimise, monomials, parities

        found = _Minimiser({}, {}, np.zeros(switches.count))
        for number in range(self.rounds):
            codes, losses = self._measured(search, switches, found.signs, number)
            usable = np.isfinite(losses) & (losses <= self.threshold)
            search.view.log(measured=float(len(losses)), usable=float(usable.sum()), round=float(number))
            # a switch that is frozen, or that another one of its edge decides, would repeat the constant
            free = np.flatnonzero(np.ptp(codes, axis=0)).tolist()
            if usable.sum() < 2 or not free:
                break
            kept, values = codes[usable], losses[usable]
            found.effects[free] = ((kept - kept.mean(0)) * (values - values.mean())[:, None]).mean(0)[free]
            coefficients = lasso(parities(kept[:, free]), values, self.penalty, self.scale)
            expansion = largest_terms(coefficients, monomials(free), self.terms, self.constant_counts)
            found.expansion.update(expansion)
            found.signs.update(minimise(expansion))
            if self._enough(switches, found.signs):
                break
        return found

    def _full(self, switches: Switches, on: set[int]) -> set[tuple[int, int]]:
        """Nodes that take no more operations."""
        if not self.most_inputs:
            return set()
        return {node for node, edges in switches.entering(on).items() if sum(map(len, edges)) >= self.most_inputs}

    def _enough(self, switches: Switches, signs: Mapping[int, int]) -> bool:
        """Whether every node has its inputs."""
        nodes = switches.entering(position for position, sign in signs.items() if sign > 0)
        return all(sum(map(bool, edges)) >= min(self.inputs, len(edges)) for edges in nodes.values())

    def _measured(
        self, search: Search, switches: Switches, frozen: Mapping[int, int], number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes (m, switches) of +1 / -1 and mean losses (m,) on consecutive batches, each cell on others."""
        import itertools

        import torch

        from methods.one_shot.parts.search import Forward

        passes = (search.task.batches("valid", self.batch, number, f"measurements {k}") for k in itertools.count())
        batches = itertools.chain.from_iterable(passes)
        codes, losses = [], []
        for _ in range(self.measurements):
            codes.append(switches.drawn(search.rng, frozen))
            forward = Forward(active=switches.active(_on(codes[-1])))
            if self.measured_batches:
                losses.append(
                    torch.stack([search.score(next(batches), forward)[1] for _ in range(self.measured_batches)]).mean()
                )
            else:
                losses.append(torch.tensor(search.validate(forward)[1]))
        return np.array(codes, dtype=float), torch.stack(losses).double().cpu().numpy()

    def _choice(self, search: Search, switches: Switches, found: _Minimiser) -> Arch:
        """What is switched on, as the space has it.

        The papers leave open what a cell is that nothing enters: here, the switches whose being on lowers the measured loss
        most are added until the space has such a cell.
        """
        on = {position for position, sign in found.signs.items() if sign > 0}
        if self.most_inputs:
            for edges in switches.entering(on).values():
                entering = sorted((position for edge in edges for position in edge), key=found.weight, reverse=True)
                on -= set(entering[self.most_inputs :])
        for number, _, positions in switches.rows:
            lit = [position for position in positions if position in on]
            if not search.net.decisions[number].several and len(lit) > 1:
                on -= set(lit) - {search.rng.choice(lit)}
        order = sorted(
            (p for p in range(switches.count) if p not in on), key=lambda p: (found.signs.get(p, 0) < 0, found.effects[p])
        )
        while (arch := search.net.holding(switches.active(on))) not in search.view.space:
            full = self._full(switches, on)
            added = next(position for position in order if switches.node[position] not in full)
            order.remove(added)
            on.add(added)
        return arch


@dataclass
class _Minimiser:
    """What was recovered."""

    signs: dict[int, int]
    """Of the positions that it names; the others are undetermined."""
    expansion: dict[tuple[int, ...], float]
    effects: np.ndarray
    """Per position, the covariance of its sign with the measured loss."""

    def weight(self, position: int) -> float:
        """Of an input: its own coefficient and half of those it shares, in absolute value."""
        terms = ((monomial, value) for monomial, value in self.expansion.items() if position in monomial)
        return abs(sum(value / len(monomial) for monomial, value in terms))


def _on(code: Sequence[int]) -> list[int]:
    return [position for position, sign in enumerate(code) if sign > 0]
