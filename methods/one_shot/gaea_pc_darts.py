from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class GaeaPcDarts(training.WeightTraining):
    """GAEA-PC-DARTS: PC-DARTS with the weights of operations and of edges on the simplex, moved by exponentiated gradient.

    The defaults are those of the DARTS space on CIFAR-10.
    """

    batch: Annotated[int, "images per step"] = 256
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.1
    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.0
    nesterov: Annotated[bool, "Nesterov's form of momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    track_stats: Annotated[bool, "batch norms keep running statistics for evaluation"] = True
    objective: Annotated[Literal["bilevel", "erm"], "architecture on validation images, or both on all images"] = "bilevel"
    partial: Annotated[int, "operations work on one channel in so many"] = 4
    warmup: Annotated[int, "first epochs in which the architecture stays: 10 in the paper, 0 as released (D-28)"] = 10
    arch_lr: Annotated[float, "rate of the exponentiated gradient, for operations and edges"] = 0.1
    edge_floor: Annotated[float, "edge weights are raised to this: 0 in the DARTS space, 1e-5 in the fork for 1Shot1"] = 0.0

    reference: ClassVar[str] = "arXiv:2004.07802"
    citations: ClassVar[tuple[str, ...]] = ("li2021gaea",)
    compared_with: ClassVar[str] = "pc_darts"
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {**training.NB1SHOT1, "lr": 0.025, "lr_end": 0.001, "edge_floor": 1e-5}
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, "partial", "edges")

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import SimplexEG
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=True, partial=self.partial, edges=True)
        return alternate(
            search,
            SimplexEG(search, self.arch_lr, edge_floor=self.edge_floor),
            objective=self.objective,
            order="architecture_first",
            begin=lambda epoch: epoch >= self.warmup,
        )
