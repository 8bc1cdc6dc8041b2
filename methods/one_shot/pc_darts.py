from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class PcDarts(training.WeightTraining):
    """PC-DARTS: DARTS on one channel in four, the rest passing by; edges have softmax weights of their own.

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
    warmup: Annotated[int, "first epochs in which the architecture stays"] = 15
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 6e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3

    reference: ClassVar[str] = "arXiv:1907.05737"
    citations: ClassVar[tuple[str, ...]] = ("xu2020pcdarts",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {**training.NB1SHOT1, "lr": 0.025, "lr_end": 0.001, "warmup": 0, "arch_lr": 3e-4}
    }

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
            order="architecture_first",
            begin=lambda epoch: epoch >= self.warmup,
        )
