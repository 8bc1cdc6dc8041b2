from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class GaeaPcDarts(training.PartialChannels):
    """GAEA-PC-DARTS: PC-DARTS with weights of operations and edges on the simplex, moved by exponentiated gradient (eq. 8)."""

    warmup: Annotated[
        float,
        "share of the schedule before the architecture's first step: 10 of 50 epochs in the paper, 0 in the released code "
        "(D-28)",
    ] = 0.2
    arch_lr: Annotated[float, "rate of the exponentiated gradient of operations and edges"] = 0.1
    edge_floor: Annotated[float, "edge weights are raised to this: 0 in the DARTS space, 1e-5 in the fork for 1Shot1"] = 0.0

    reference: ClassVar[str] = "arXiv:2004.07802"
    citations: ClassVar[tuple[str, ...]] = ("li2021gaea",)
    compared_with: ClassVar[str] = "pc_darts"
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {**training.NB1SHOT1, "lr": 0.025, "lr_end": 0.001, "edge_floor": 1e-5, "warmup": 10 / 100}
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        training.check_warmup(self.warmup)

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
            order=self.order,
            arch_clip=self.arch_clip,
            begin=lambda: search.schedule.share >= self.warmup,
        )
