from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from methods.one_shot.parts.search import Search


@dataclass(frozen=True)
class Conas(training.WeightTraining):
    """CoNAS: the supernet's loss as a sparse polynomial of switched operations, recovered by the Lasso, minimised exactly.

    On NAS-Bench-201 a measured cell has one operation per edge or ``none``; the minimiser may switch on several on an edge, of
    which one is drawn, or none, which is ``none``.
    """

    epochs: Annotated[int, "passes over the images that train the weights"] = 100
    lr_ahead: Annotated[int, "epochs that the schedule runs ahead: the scheduler is advanced before the first epoch"] = 1
    clip: Annotated[float, "largest norm of the weights' gradient; not in the paper (D-05)"] = 0.25
    measurements: Annotated[int, "cells measured per round (m)"] = 300
    measured_batches: Annotated[
        int, "validation batches, augmented and different for each cell, that a measurement averages"
    ] = 10
    threshold: Annotated[float, "measured losses above this are dropped (tau)"] = 1.8
    penalty: Annotated[float, "of the Lasso (lambda)"] = 5.0
    scale: Annotated[Literal["released", "paper"], "objective that the penalty belongs to (D-07)"] = "released"
    terms: Annotated[int, "largest coefficients kept, the constant's included (s, D-08)"] = 14
    rounds: Annotated[int, "measure, fit, freeze; then again with what is frozen kept (D-09)"] = 1

    reference: ClassVar[str] = "arXiv:1906.02869"
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self)
        for epoch in search.epochs():
            for batch in search.task.batches("train", self.batch, epoch):
                cell = search.net.only(view.space.sample(search.rng))
                search.step_weights(search.loss(batch, Forward(active=cell)))
            search.record(Forward(active=cell))
        return self._choice(search, self._minimiser(search))

    def _minimiser(self, search: Search) -> Mapping[int, int]:
        """Signs of the switches that were recovered; the others are undetermined."""
        from methods.one_shot.parts.fourier import largest_terms, lasso, minimise, monomials, parities

        frozen: dict[int, int] = {}
        for number in range(self.rounds):
            codes, losses = self._measured(search, frozen, number)
            usable = np.isfinite(losses) & (losses <= self.threshold)
            search.view.log(measured=float(len(losses)), usable=float(usable.sum()), round=float(number))
            free = [position for position in range(codes.shape[1]) if position not in frozen]
            if usable.sum() < 2 or not free:
                break
            coefficients = lasso(parities(codes[usable][:, free]), losses[usable], self.penalty, self.scale)
            frozen |= minimise(largest_terms(coefficients, monomials(free), self.terms))
        return frozen

    def _measured(self, search: Search, frozen: Mapping[int, int], number: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes (m, switches) of +1 / -1 and mean losses (m,) on consecutive batches, each cell on others."""
        import itertools

        import torch

        from methods.one_shot.parts.search import Forward

        (decision,) = search.net.decisions
        switches = len(decision.options) - 1
        passes = (search.task.batches("valid", self.batch, number, f"measurements {k}") for k in itertools.count())
        batches = itertools.chain.from_iterable(passes)
        codes, losses = [], []
        for _ in range(self.measurements):
            arch = self._random_cell(search, frozen, switches)
            code = -np.ones((decision.rows, switches))
            code[[edge for edge, op in enumerate(arch) if op], [op - 1 for op in arch if op]] = 1
            codes.append(code.ravel())
            forward = Forward(active=search.net.only(arch))
            found = [search.score(next(batches), forward)[1] for _ in range(self.measured_batches)]
            losses.append(float(torch.stack(found).mean()))
        return np.array(codes), np.array(losses)

    def _random_cell(self, search: Search, frozen: Mapping[int, int], switches: int) -> Arch:
        """Uniform on each edge among what the frozen switches leave; a switch frozen to on is the edge's operation."""
        arch = []
        for edge in range(search.net.decisions[0].rows):
            signs = [frozen.get(edge * switches + k, 0) for k in range(switches)]
            on = [k + 1 for k, sign in enumerate(signs) if sign > 0]
            allowed = on or [0, *(k + 1 for k, sign in enumerate(signs) if sign == 0)]
            arch.append(search.rng.choice(allowed))
        return tuple(arch)

    def _choice(self, search: Search, signs: Mapping[int, int]) -> Arch:
        switches = len(search.net.decisions[0].options) - 1
        rows = range(search.net.decisions[0].rows)
        on = [[k + 1 for k in range(switches) if signs.get(edge * switches + k, -1) > 0] for edge in rows]
        return tuple(search.rng.choice(some) if some else 0 for some in on)
