from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import operations as subsets
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Conas(training.WeightTraining):
    """CoNAS: the supernet's loss is a sparse polynomial of switches, recovered by the Lasso and minimised exactly (eq. 2.3).

    In the DARTS space every operation on every edge is a switch, on with probability 1/2 (D-02). A cell of NAS-Bench-201 has
    one operation per edge, or ``none``. There a measured cell has at most one switch on per edge. If the minimiser turns on
    several switches of an edge, one of them is drawn; if it turns on none, the edge is ``none``.
    Momentum is Nesterov's on NAS-Bench-201, as in the paper, and plain in the DARTS space, as in the code (D-04).
    """

    epochs: Annotated[int, "passes over the images that train the weights"] = 100
    lr_ahead: Annotated[int, "the schedule is this many epochs ahead (1: the scheduler steps before the first epoch)"] = 1
    clip: Annotated[float, "largest norm of the weights' gradient; not in the paper (D-05)"] = 0.25
    measurements: Annotated[int, "cells measured per round (m)"] = 300
    measured_batches: Annotated[
        int, "augmented validation batches per cell, other ones for each cell; 0: all validation images, plain (D-03)"
    ] = 10
    threshold: Annotated[float, "measured losses above this are dropped (tau)"] = 1.8
    penalty: Annotated[float, "penalty of the Lasso (lambda)"] = 5.0
    scale: Annotated[Literal["released", "paper"], "objective that the penalty belongs to (D-07)"] = "released"
    terms: Annotated[int, "number of largest coefficients in the polynomial, with the constant's (s, D-08)"] = 14
    constant_counts: Annotated[bool, "the constant counts as one of the terms (D-08)"] = True
    rounds: Annotated[
        int, "rounds of measuring, fitting and freezing, at most; they stop when every node has inputs (D-09)"
    ] = 1
    inputs: Annotated[
        int,
        "edges into a node that are enough; fewer if the node has fewer; an edge whose switches are all off counts as 'none'",
    ] = 1
    most_inputs: Annotated[int, "operations per node, those of largest coefficients; 0: all (CoNAS (2): two)"] = 0

    operations: Annotated[
        subsets.Subset, "operations of the space; five: those of Table 6 (D-67); cherry_picked: SparseNAS' smaller space"
    ] = "all"

    reference: ClassVar[str] = "arXiv:1906.02869"
    citations: ClassVar[tuple[str, ...]] = ("cho2019conas",)
    proposes: ClassVar[str] = "self"
    imports: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "paper_scale": {"scale": "paper"},
        "two_inputs": {"most_inputs": 2, "inputs": 2},
        # the paper's restriction, until every edge is named; 3 is the most edges that enter a node of NAS-Bench-201 (D-09)
        "repeated": {"rounds": 4, "inputs": 3},
        "table_6": {"operations": "five", "penalty": 1.0, "rounds": 1},
    }
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {
            **training.DARTS,
            "measurements": 3000,
            "threshold": 1.5,
            "penalty": 10.0,
            "terms": 12,
            "rounds": 4,  # the paper freezes and repeats until there are enough edges (D-09)
        },
        "toy_sharing": {"measurements": 20},
    }

    def skip(self, problem: Problem) -> str | None:
        if self.most_inputs and not problem.space.chooses_edges:
            return f"a node of {problem.space.name} takes one operation from each of its inputs"
        return training.skip(problem, *subsets.choices(self.operations), on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts import conas

        return conas.search(view, self)
