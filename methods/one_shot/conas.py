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
        int, "validation batches, augmented and other ones for each cell, that are averaged; 0: all images, plain (D-03)"
    ] = 10
    threshold: Annotated[float, "measured losses above this are dropped (tau)"] = 1.8
    penalty: Annotated[float, "of the Lasso (lambda)"] = 5.0
    scale: Annotated[Literal["released", "paper"], "objective that the penalty belongs to (D-07)"] = "released"
    terms: Annotated[int, "largest coefficients kept, the constant's included (s, D-08)"] = 14
    constant_counts: Annotated[bool, "the constant takes one of their places (D-08)"] = True
    rounds: Annotated[int, "at most: measure, fit, freeze, again with what is frozen, until every node has inputs (D-09)"] = 1
    inputs: Annotated[int, "edges into a node, or all there are, that are enough"] = 1

    reference: ClassVar[str] = "arXiv:1906.02869"
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {"": {}, "paper_scale": {"scale": "paper"}}

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self)
        for epoch in search.epochs(evaluated=self.measurements * self.measured_batches * self.batch):
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
            # a switch that is frozen, or that another one of its edge decides, would repeat the constant
            free = np.flatnonzero(np.ptp(codes, axis=0)).tolist()
            if usable.sum() < 2 or not free:
                break
            coefficients = lasso(parities(codes[usable][:, free]), losses[usable], self.penalty, self.scale)
            frozen |= minimise(largest_terms(coefficients, monomials(free), self.terms, self.constant_counts))
            if self._enough(search, frozen):
                break
        return frozen

    def _enough(self, search: Search, signs: Mapping[int, int]) -> bool:
        """Whether every node has its inputs."""
        targets, on = search.net.decisions[0].targets, self._on(search, signs)
        found = {node: sum(bool(some) for target, some in zip(targets, on, strict=True) if target == node) for node in targets}
        return all(count >= min(self.inputs, targets.count(node)) for node, count in found.items())

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
            if self.measured_batches:
                losses.append(
                    torch.stack([search.score(next(batches), forward)[1] for _ in range(self.measured_batches)]).mean()
                )
            else:
                losses.append(torch.tensor(search.validate(forward)[1]))
        return np.array(codes), torch.stack(losses).double().cpu().numpy()

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
        return tuple(search.rng.choice(some) if some else 0 for some in self._on(search, signs))

    def _on(self, search: Search, signs: Mapping[int, int]) -> list[list[int]]:
        """The operations that are switched on, per edge."""
        switches, rows = len(search.net.decisions[0].options) - 1, range(search.net.decisions[0].rows)
        return [[k + 1 for k in range(switches) if signs.get(edge * switches + k, -1) > 0] for edge in rows]
