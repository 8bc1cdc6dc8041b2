from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class PcDarts(training.PartialChannels):
    """PC-DARTS: DARTS on one of four channels, while the rest passes by; edges have softmax weights too."""

    warmup: Annotated[float, "share of the schedule before the architecture's first step: 15 of 50 epochs"] = 0.3
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 6e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3

    reference: ClassVar[str] = "arXiv:1907.05737"
    citations: ClassVar[tuple[str, ...]] = ("xu2020pcdarts",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {**training.NB1SHOT1, "lr": 0.025, "lr_end": 0.001, "warmup": 0.0, "arch_lr": 3e-4}
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        training.check_warmup(self.warmup)

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, "partial", "edges")

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import SoftmaxAdam
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=True, partial=self.partial, edges=True)
        return alternate(
            search,
            SoftmaxAdam(search, self.arch_lr, self.arch_decay),
            objective=self.objective,
            order=self.order,
            arch_clip=self.arch_clip,
            begin=lambda: search.schedule.share >= self.warmup,
        )
