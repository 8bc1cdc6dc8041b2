from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class GaeaDarts(training.WeightTraining):
    """GAEA-DARTS: mixture weights on the simplex, moved by exponentiated gradient (eq. 8); the heaviest is selected."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 25
    lr_period: Annotated[float, "half a cosine, as a share of the schedule: 50 epochs in the released code (D-24)"] = 2.0
    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    track_stats: Annotated[
        bool, "batch norms keep running statistics for evaluation; true in the released configuration (D-55)"
    ] = False
    objective: Annotated[
        Literal["bilevel", "erm"], "bilevel: the architecture trains on validation images; erm: both train on all images"
    ] = "bilevel"
    arch_lr: Annotated[float, "rate of the exponentiated gradient"] = 0.1
    floor: Annotated[float, "weights are raised to this, as in the released code; the paper has 0 (D-21)"] = 1e-5
    edge_floor: Annotated[float, "edge weights are raised to this"] = 0.0
    reported: Annotated[
        Literal["last", "best"], "cell of the last epoch, or of the epoch with the best supernet on validation images (D-25)"
    ] = "last"

    reference: ClassVar[str] = "arXiv:2004.07802"
    citations: ClassVar[tuple[str, ...]] = ("li2021gaea",)
    compared_with: ClassVar[str] = "darts"
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {**training.DARTS, "epochs": 50, "lr_period": 1.0},
        # the fork for 1Shot1: 50 epochs, another weight decay, a floor for all weights
        "nb1shot1": {**training.NB1SHOT1, "epochs": 50, "lr_period": 1.0, "weight_decay": 3e-3, "edge_floor": 1e-5},
    }
    variants: ClassVar[dict[str, dict[str, object]]] = {"bilevel": {"objective": "bilevel"}, "erm": {"objective": "erm"}}

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import SimplexEG
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=False)
        return alternate(
            search,
            SimplexEG(search, self.arch_lr, floor=self.floor, edge_floor=self.edge_floor),
            objective=self.objective,
            order="architecture_first",
            reported=self.reported,
        )
