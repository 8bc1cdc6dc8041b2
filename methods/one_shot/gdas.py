from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Gdas(training.WeightTraining):
    """GDAS: each pass draws one operation per edge by the Gumbel trick at a falling temperature; the likeliest is selected."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 3e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3
    order: Annotated[Literal["weights_first", "architecture_first"], "order of the two steps on a pair"] = "weights_first"
    clip_arch: Annotated[bool, "the clipped norm counts the architecture's gradients too"] = True
    arch_clip: Annotated[float, "largest norm of the architecture's gradient by its own loss; 0: not clipped"] = 0.0
    hottest: Annotated[float, "temperature in the first epoch"] = 10.0
    coldest: Annotated[float, "temperature in the last epoch; see cooling"] = 0.1
    cooling: Annotated[
        Literal["linear", "unfinished"],
        "linear: falls to coldest; unfinished: would reach it one epoch after the last (NAS-Bench-1Shot1's code, D-48)",
    ] = "linear"
    noise: Annotated[
        Literal["network", "cell"],
        "a pass draws operations once for all cells, or again for each cell of the network (NAS-Bench-1Shot1's code, D-47)",
    ] = "network"
    unsampled: Annotated[
        Literal["number", "nothing"],
        "an operation that is not drawn adds its weight as a number, or nothing, without a gradient (NAS-Bench-1Shot1's code, "
        "D-47)",
    ] = "number"

    reference: ClassVar[str] = "arXiv:1910.04465"
    citations: ClassVar[tuple[str, ...]] = ("dong2019gdas",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": training.DARTS,
        "nb1shot1": {
            **training.NB1SHOT1,
            "order": "architecture_first",
            "clip_arch": False,
            "arch_clip": 5.0,
            "coldest": 1.0,
            "cooling": "unfinished",
            "noise": "cell",
            "unsampled": "nothing",
        },
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import HardGumbel, SoftmaxAdam
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.gumbel import linear_temperature
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=True)
        gumbel = HardGumbel(search, self.noise, self.unsampled)
        epochs = self.epochs + (self.cooling == "unfinished")

        def begin() -> bool:
            gumbel.temperature = linear_temperature(search.position, epochs, self.hottest, self.coldest)
            return True

        logits = SoftmaxAdam(search, self.arch_lr, self.arch_decay)
        return alternate(
            search,
            logits,
            gumbel,
            order=self.order,
            clip_architecture=self.clip_arch,
            arch_clip=self.arch_clip,
            begin=begin,
        )
